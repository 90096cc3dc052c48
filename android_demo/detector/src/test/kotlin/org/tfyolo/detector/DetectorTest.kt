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

/** TensorFlow Lite itself, in the AAR's own library, gives what it gives in Python. */
class DetectorTest {
    private val models = JSONArray(File(demoModels, "expected.json").readText()).objects().filter { it.getString("kind") == "tflite" }
    private val python = Thresholds(0.25f, 0.45f, 300)

    @Test
    fun `detections of every exported file are Python's`() {
        val kinds = models.map { "${it.getString("precision")} ${it.getString("nms")}" }
        for (kind in listOf("float32 postprocess", "float32 builtin", "float32 none", "float32 raw", "int8 postprocess", "int8 builtin", "int8 none", "int8 raw"))
            assertTrue(kind in kinds, "$kind is not among $kinds")
        for (model in models) {
            detector(modelBytes(model.getString("path"))).use { detector ->
                detector.thresholds = python
                val found = model.getJSONObject("found")
                for (image in found.keys()) {
                    val seen = detector.detect(PixelSource.of(File(demoModels, image)), 0, false)
                    assertSame(model, found.getJSONArray(image).objects(), seen, "${model.getString("path")} on $image")
                }
            }
        }
    }

    /** Each of Python's has its own counterpart: IoU above 0.98, scores within a quantization step. */
    private fun assertSame(model: JSONObject, expected: List<JSONObject>, found: Detections, what: String) {
        assertTrue(expected.size > 5, "$what: an image that shows nothing proves nothing")
        assertEquals(expected.size, found.size, what)
        val step = model.optDouble("score_step", 0.0).let { if (it.isNaN()) 0f else it.toFloat() }
        val left = found.toMutableList()
        var ties = 0
        for (one in expected) {
            val (x0, y0, x1, y1) = one.getJSONArray("box").floats().toList()
            val score = one.getDouble("score").toFloat()
            val match = left.filter { it.classIndex == one.getInt("classId") }.maxByOrNull { iou(it.box, Box(x0, y0, x1, y1)) }
            assertNotNull(match, "$what: nothing for $one")
            val overlap = iou(match.box, Box(x0, y0, x1, y1))
            // Integers have equal scores now and then. Which of two neighbors comes first, the top-k of such a file leaves open.
            val tie = step > 0 && model.getString("nms") == "builtin" && overlap in 0.7..0.98 && ++ties <= 2
            assertTrue(overlap > 0.98 || tie, "$what: $match for $one, IoU $overlap")
            assertTrue(abs(match.score - score) <= step + 1e-4f, "$what: $match for $one")
            left.remove(match)
        }
    }

    private fun iou(a: Box, b: Box): Float {
        val width = minOf(a.right, b.right) - maxOf(a.left, b.left)
        val height = minOf(a.bottom, b.bottom) - maxOf(a.top, b.top)
        val shared = maxOf(width, 0f) * maxOf(height, 0f)
        return shared / (a.width * a.height + b.width * b.height - shared)
    }

    @Test
    fun `a camera's frame, however it is held, shows what the image shows`() {
        val image = PixelSource.of(File(demoModels, "BloodImage_00007.png"))
        detector(modelBytes("int8-postprocess.tflite")).use { detector ->
            detector.thresholds = python.copy(score = 0.5f)
            val upright = detector.detect(image, 0, false)
            assertTrue(upright.size > 5)
            for (rotation in listOf(0, 90, 180, 270)) {
                for (mirror in listOf(false, true)) {
                    val held = held(image, rotation, mirror)
                    assertTrue(detector.detect(held, rotation, mirror).sameAs(upright, 0.99f), "pixels, $rotation, $mirror")
                    // The chroma of four pixels is one, which moves scores a little.
                    val frame = detector.detect(frameOf(held), rotation, mirror)
                    assertTrue(frame.sameAs(upright, 0.9f, most = 2), "frame, $rotation, $mirror: $frame instead of $upright")
                    assertEquals(640 to 480, frame.sourceWidth to frame.sourceHeight)
                }
            }
        }
    }

    private fun Detections.sameAs(other: Detections, overlap: Float, most: Int = 0): Boolean {
        val missing = other.count { one -> none { it.classIndex == one.classIndex && iou(it.box, one.box) > overlap } }
        return missing <= most && abs(size - other.size) <= most
    }

    /** The image as a sensor sees it that must be turned by `rotation` and mirrored to be upright. */
    private fun held(image: PixelSource, rotation: Int, mirror: Boolean): PixelSource {
        val mirrored = Upright(image, 0, mirror).pixels()
        return Upright(mirrored, (360 - rotation) % 360, false).pixels()
    }

    private fun Upright.pixels(): PixelSource {
        val columns = IntArray(width) { column(it) }
        val row = IntArray(width)
        val all = IntArray(width * height)
        for (y in 0 until height) {
            row(y, columns, width, row)
            row.copyInto(all, y * width)
        }
        return PixelSource(width, height, all)
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
    fun `thresholds hold from the next image on`() {
        val image = PixelSource.of(File(demoModels, "BloodImage_00007.png"))
        for (name in listOf("float32-none.tflite", "float32-postprocess.tflite")) {
            detector(modelBytes(name), Options(1, Delegate.CPU, scoreThreshold = 0.3f, iouThreshold = 0.4f, maxResults = 50)).use { detector ->
                assertEquals(Thresholds(0.3f, 0.4f, 50), detector.thresholds)
                val all = detector.detect(image, 0, false)
                assertTrue(all.all { it.score > 0.3f } && all.zipWithNext().all { (a, b) -> a.score >= b.score }, "$all")
                detector.thresholds = detector.thresholds.copy(score = 0.6f)
                assertEquals(all.filter { it.score > 0.6f }, detector.detect(image, 0, false).toList(), name)
                detector.thresholds = detector.thresholds.copy(score = 0.3f, maxResults = 3)
                assertEquals(all.take(3), detector.detect(image, 0, false).toList(), name)
                detector.thresholds = detector.thresholds.copy(maxResults = 50, classes = setOf(2))
                val white = detector.detect(image, 0, false)
                assertTrue(white.isNotEmpty() && white.all { it.label == "WBC" && it.classIndex == 2 }, "$white")
                detector.thresholds = detector.thresholds.copy(classes = emptySet())
                assertTrue(detector.detect(image, 0, false).isEmpty())
            }
        }
    }

    @Test
    fun `what the file says`() {
        detector(modelBytes("int8-builtin.tflite")).use { detector ->
            val said = detector.description
            assertEquals(listOf("Platelets", "RBC", "WBC"), said.labels)
            assertEquals(320 to 320, said.inputWidth to said.inputHeight)
            assertEquals("int8" to "builtin", said.precision to said.suppression)
            assertEquals(Thresholds(0.1f, 0.6f, 100), said.inside)
            assertEquals(said.inside, detector.thresholds)
            assertEquals(Backend(Delegate.CPU, 1), detector.backend)
        }
        detector(modelBytes("float32-raw.tflite")).use { detector ->
            assertEquals("raw" to null, detector.description.suppression to detector.description.inside)
        }
    }

    @Test
    fun `files that do not fit`() {
        fun refused(name: String) = assertFailsWith<ModelException>(name) { detector(modelBytes(name)).close() }
        assertEquals(Problem.WRONG_TASK, refused("task.tflite").problem)
        assertEquals("The model's input is 320 x 320, and its tfyolo.json says 352 x 352. Export it again.", refused("shape.tflite").message)
        assertEquals(Problem.NOT_TFLITE, refused("cut.tflite").problem)
        assertEquals(Problem.NOT_TFLITE, refused("spoilt.tflite").problem)
    }

    @Test
    fun `after closing, and closing twice`() {
        val detector = detector(modelBytes("int8-builtin.tflite"))
        detector.close()
        detector.close()
        assertFailsWith<IllegalStateException> { detector.detect(PixelSource(1, 1, IntArray(1)), 0, false) }
    }

    @Test
    fun `images of one pixel, and of one line`() {
        detector(modelBytes("int8-builtin.tflite")).use { detector ->
            assertEquals(1 to 1, detector.detect(PixelSource(1, 1, IntArray(1)), 90, true).run { sourceWidth to sourceHeight })
            assertEquals(3000 to 1, detector.detect(PixelSource(3000, 1, IntArray(3000)), 0, false).run { sourceWidth to sourceHeight })
            assertEquals(1 to 3000, detector.detect(PixelSource(3000, 1, IntArray(3000)), 270, false).run { sourceWidth to sourceHeight })
        }
    }
}
