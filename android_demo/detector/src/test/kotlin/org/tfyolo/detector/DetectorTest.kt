package org.tfyolo.detector

import java.io.File
import kotlin.math.abs
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertNotNull
import kotlin.test.assertTrue
import org.json.JSONArray
import org.json.JSONObject
import org.tfyolo.detector.ModelException.Problem

/** TensorFlow Lite's Android library gives the same detections as Python. */
class DetectorTest {
    private val models = JSONArray(File(demoModels, "expected.json").readText()).objects().filter { it.getString("kind") == "tflite" }
    private val pythonThresholds = Thresholds(0.25f, 0.45f, 300)

    @Test
    fun `all exported models give the same detections as Python`() {
        val kinds = models.map { "${it.getString("precision")} ${it.getString("nms")}" }
        for (kind in listOf("float32 postprocess", "float32 builtin", "float32 none", "float32 raw", "int8 postprocess", "int8 builtin", "int8 none", "int8 raw"))
            assertTrue(kind in kinds, "$kind is not among $kinds")
        for (model in models) {
            detector(modelBytes(model.getString("path"))).use { detector ->
                detector.thresholds = pythonThresholds
                val found = model.getJSONObject("found")
                for (image in found.keys()) {
                    val actual = detector.detect(PixelSource.of(File(demoModels, image)), 0, false)
                    val candidates = model.optJSONObject("candidates")?.getJSONArray(image)?.objects() ?: emptyList()
                    assertSame(model, found.getJSONArray(image).objects(), candidates, actual, "${model.getString("path")} on $image")
                }
            }
        }
    }

    /**
     * Each expected detection has its own match: IoU above 0.98, scores within one quantization step.
     *
     * Quantized scores can be equal, and the top-k operation of such a graph does not define which of two neighbors comes first:
     * the other one is then among the candidates that Python finds before suppression.
     */
    private fun assertSame(
        model: JSONObject, expected: List<JSONObject>, candidates: List<JSONObject>, actual: Detections, description: String,
    ) {
        assertTrue(expected.size > 5, "$description: too few detections for a meaningful comparison")
        assertEquals(expected.size, actual.size, description)
        val step = model.optDouble("score_step", 0.0).let { if (it.isNaN()) 0f else it.toFloat() }
        val unmatched = actual.toMutableList()
        for (one in expected) {
            val match = unmatched.filter { it.classId == one.getInt("classId") }.maxByOrNull { iou(it.box, one.box()) }
            assertNotNull(match, "$description: no match for $one")
            val iou = iou(match.box, one.box())
            val equal = abs(match.score - one.getDouble("score")) < 1e-4
            val neighbor = iou > 0.7 && equal && candidates.any {
                it.getInt("classId") == match.classId && iou(it.box(), match.box) > 0.98 && abs(it.getDouble("score") - match.score) < 1e-4
            }
            assertTrue(iou > 0.98 || neighbor, "$description: $match for $one, IoU $iou")
            assertTrue(abs(match.score - one.getDouble("score")) <= step + 1e-4, "$description: $match for $one")
            unmatched.remove(match)
        }
    }

    private fun JSONObject.box(): Box {
        val (left, top, right, bottom) = getJSONArray("box").floats().toList()
        return Box(left, top, right, bottom)
    }

    private fun iou(a: Box, b: Box): Float {
        val width = minOf(a.right, b.right) - maxOf(a.left, b.left)
        val height = minOf(a.bottom, b.bottom) - maxOf(a.top, b.top)
        val intersection = maxOf(width, 0f) * maxOf(height, 0f)
        return intersection / (a.width * a.height + b.width * b.height - intersection)
    }

    @Test
    fun `a rotated or mirrored camera frame gives the same detections as the upright image`() {
        val image = PixelSource.of(File(demoModels, "BloodImage_00007.png"))
        detector(modelBytes("int8-postprocess.tflite")).use { detector ->
            detector.thresholds = pythonThresholds.copy(confidence = 0.5f)
            val upright = detector.detect(image, 0, false)
            assertTrue(upright.size > 5)
            for (rotation in listOf(0, 90, 180, 270)) {
                for (mirror in listOf(false, true)) {
                    val rotated = rotated(image, rotation, mirror)
                    assertTrue(detector.detect(rotated, rotation, mirror).sameAs(upright, 0.99f), "pixels, $rotation, $mirror")
                    // Chroma subsampling (one sample per 2 x 2 pixels) changes scores slightly.
                    val frame = detector.detect(frameOf(rotated), rotation, mirror)
                    assertTrue(frame.sameAs(upright, 0.9f, maxDifferences = 2), "frame, $rotation, $mirror: $frame instead of $upright")
                    assertEquals(640 to 480, frame.sourceWidth to frame.sourceHeight)
                }
            }
        }
    }

    private fun Detections.sameAs(other: Detections, minIou: Float, maxDifferences: Int = 0): Boolean {
        val missing = other.count { one -> none { it.classId == one.classId && iou(it.box, one.box) > minIou } }
        return missing <= maxDifferences && abs(size - other.size) <= maxDifferences
    }

    /** The image that becomes upright when it is rotated clockwise by `rotation` degrees and then mirrored. */
    private fun rotated(image: PixelSource, rotation: Int, mirror: Boolean): PixelSource {
        val mirrored = Upright(image, 0, mirror).pixels()
        return Upright(mirrored, (360 - rotation) % 360, false).pixels()
    }

    private fun frameOf(pixels: PixelSource): YuvFrame {
        val (width, height) = pixels.width to pixels.height
        val rgb = IntArray(width)
        val all = IntArray(width)
        for (x in 0 until width) all[x] = x
        val (y, u, v) = listOf(ByteArray(width * height), ByteArray(width * height / 4), ByteArray(width * height / 4))
        for (row in 0 until height) {
            pixels.line(row, false, all, width, rgb)
            for (x in 0 until width) {
                val (r, g, b) = listOf(rgb[x] shr 16 and 255, rgb[x] shr 8 and 255, rgb[x] and 255)
                val luma = 0.299f * r + 0.587f * g + 0.114f * b
                y[row * width + x] = luma.toInt().toByte()
                val at = row / 2 * (width / 2) + x / 2
                u[at] = (128 + (b - luma) / 1.772f).toInt().coerceIn(0, 255).toByte()
                v[at] = (128 + (r - luma) / 1.402f).toInt().coerceIn(0, 255).toByte()
            }
        }
        return YuvFrame().apply { copyFrom(width, height, direct(y), width, direct(u), direct(v), width / 2, 1) }
    }

    @Test
    fun `new thresholds take effect with the next image`() {
        val image = PixelSource.of(File(demoModels, "BloodImage_00007.png"))
        for (name in listOf("float32-none.tflite", "float32-postprocess.tflite")) {
            detector(modelBytes(name), Options(1, Delegate.CPU, confidenceThreshold = 0.3f, iouThreshold = 0.4f, maxDetections = 50)).use { detector ->
                assertEquals(Thresholds(0.3f, 0.4f, 50), detector.thresholds)
                val all = detector.detect(image, 0, false)
                assertTrue(all.all { it.score > 0.3f } && all.zipWithNext().all { (a, b) -> a.score >= b.score }, "$all")
                detector.thresholds = detector.thresholds.copy(confidence = 0.6f)
                assertEquals(all.filter { it.score > 0.6f }, detector.detect(image, 0, false).toList(), name)
                detector.thresholds = detector.thresholds.copy(confidence = 0.3f, maxDetections = 3)
                assertEquals(all.take(3), detector.detect(image, 0, false).toList(), name)
                detector.thresholds = detector.thresholds.copy(maxDetections = 50, classIds = setOf(2))
                val white = detector.detect(image, 0, false)
                assertTrue(white.isNotEmpty() && white.all { it.label == "WBC" && it.classId == 2 }, "$white")
                detector.thresholds = detector.thresholds.copy(classIds = emptySet())
                assertTrue(detector.detect(image, 0, false).isEmpty())
            }
        }
    }

    @Test
    fun `the description contains the metadata of the model`() {
        detector(modelBytes("int8-builtin.tflite")).use { detector ->
            val description = detector.description
            assertEquals(listOf("Platelets", "RBC", "WBC"), description.classNames)
            assertEquals(320 to 320, description.inputWidth to description.inputHeight)
            assertEquals("int8" to "builtin", description.precision to description.nms)
            assertEquals(Thresholds(0.1f, 0.6f, 100), description.embeddedNms)
            assertEquals(description.embeddedNms, detector.thresholds)
            assertEquals(Backend(Delegate.CPU, 1), detector.backend)
        }
        detector(modelBytes("float32-raw.tflite")).use { detector ->
            assertEquals("raw" to null, detector.description.nms to detector.description.embeddedNms)
        }
    }

    @Test
    fun `unsupported models are rejected`() {
        fun rejected(name: String) = assertFailsWith<ModelException>(name) { detector(modelBytes(name)).close() }
        assertEquals(Problem.WRONG_TASK, rejected("task.tflite").problem)
        assertEquals("The model's input is 320 x 320, but its tfyolo.json says 352 x 352. Export the model again.", rejected("shape.tflite").message)
        assertEquals(Problem.NOT_TFLITE, rejected("cut.tflite").problem)
        assertEquals(Problem.NOT_TFLITE, rejected("spoilt.tflite").problem)
    }

    @Test
    fun `closing twice is allowed, detecting after closing is not`() {
        val detector = detector(modelBytes("int8-builtin.tflite"))
        detector.close()
        detector.close()
        assertFailsWith<IllegalStateException> { detector.detect(PixelSource(1, 1, IntArray(1)), 0, false) }
    }

    @Test
    fun `images of one pixel or one line`() {
        detector(modelBytes("int8-builtin.tflite")).use { detector ->
            assertEquals(1 to 1, detector.detect(PixelSource(1, 1, IntArray(1)), 90, true).run { sourceWidth to sourceHeight })
            assertEquals(3000 to 1, detector.detect(PixelSource(3000, 1, IntArray(3000)), 0, false).run { sourceWidth to sourceHeight })
            assertEquals(1 to 3000, detector.detect(PixelSource(3000, 1, IntArray(3000)), 270, false).run { sourceWidth to sourceHeight })
        }
    }
}
