package org.tfyolo.detector

import java.lang.management.ManagementFactory
import kotlin.random.Random
import kotlin.test.Test
import kotlin.test.assertContentEquals
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertTrue
import org.json.JSONObject
import org.tensorflow.lite.DataType

/** Masks have the pixels that Python computes (tests/vectors/masks.py). */
class MaskTest {
    private fun model(width: Int, height: Int) = Thresholds(0f, 1f, 100).let { thresholds ->
        DetectorDescription("", listOf("ant", "bee"), width, height, "", Normalization(0f, 255f), "builtin", thresholds, thresholds, true, emptyList(), emptyList())
    }

    /** Masks as integer or float models return them: in steps of 1/255 or 1/256. */
    private fun masks(case: JSONObject): Output {
        val (height, width) = case.ints("mask_hw")
        val rows = case.getJSONArray("cells")
        val cells = IntArray(rows.length() * height * width) { rows.getJSONArray(it / (height * width)).getInt(it % (height * width)) }
        val shape = listOf(1, rows.length(), height, width)
        if (case.getInt("divisor") == 256) return values(MASKS, shape, FloatArray(cells.size) { cells[it] / 256f })
        return Output(MASKS, shape, DataType.UINT8, direct(ByteArray(cells.size) { cells[it].toByte() }), 0f, 0)
    }

    private fun masksOf(case: JSONObject): List<Mask> {
        val (height, width) = case.ints("image_hw")
        val (inputHeight, inputWidth) = case.ints("target_hw")
        val boxes = case.floats("boxes_xyxy_px")
        val count = boxes.size / 4
        val reader = MaskReader(CroppedMasks(mapOf(MASKS to masks(case)), count), model(inputWidth, inputHeight))
        val box = Letterbox(width, height, inputWidth, inputHeight)
        return List(count) { reader.read(DetectionArrays(boxes, FloatArray(count), IntArray(count)), it, box) }
    }

    @Test
    fun `the same pixels as in Python`() {
        var pixels = 0
        for (case in vectors("masks")) {
            val what = case.getString("name")
            val found = masksOf(case)
            assertNear(case.floats("corners_xy"), found.flatMap { listOf(it.left.toFloat(), it.top.toFloat()) }.toFloatArray(), what)
            assertNear(case.floats("patches_hw"), found.flatMap { listOf(it.height.toFloat(), it.width.toFloat()) }.toFloatArray(), what)
            found.forEachIndexed { i, mask ->
                val bits = case.getJSONArray("bits").getJSONArray(i).ints()
                val bytesPerRow = (mask.width + 7) / 8
                val expected = BooleanArray(mask.width * mask.height) { at ->
                    val x = at % mask.width
                    bits[at / mask.width * bytesPerRow + x / 8] shr (7 - x % 8) and 1 == 1
                }
                assertContentEquals(expected, mask.toBooleanArray(), "$what, mask $i")
                assertEquals(case.ints("areas_px")[i], expected.count { it }, "$what, mask $i")
                pixels += expected.size
            }
        }
        check(pixels > 10_000)
    }

    @Test
    fun `a mask is drawn at its place, and one renderer draws all sizes`() {
        val renderer = MaskRenderer()
        for (case in vectors("masks")) {
            val (height, width) = case.ints("image_hw")
            for (mask in masksOf(case)) {
                val pixels = IntArray(width * height)
                renderer.draw(mask, 7, pixels, width)
                val expected = IntArray(width * height)
                mask.toBooleanArray().forEachIndexed { at, inside ->
                    if (inside) expected[(mask.top + at / mask.width) * width + mask.left + at % mask.width] = 7
                }
                assertContentEquals(expected, pixels, case.getString("name"))
            }
        }
    }

    @Test
    fun `drawing allocates nothing`() {
        val mask = masksOf(vectors("masks").first { it.getString("name") == "image larger than the input" }).maxBy { it.width }
        val renderer = MaskRenderer()
        val pixels = IntArray(200 * 150)
        val threads = ManagementFactory.getThreadMXBean() as com.sun.management.ThreadMXBean
        val bytes = (1..5).minOf {
            val before = threads.currentThreadAllocatedBytes
            repeat(10) { renderer.draw(mask, -1, pixels, 200) }
            threads.currentThreadAllocatedBytes - before
        }
        assertEquals(0, bytes)
    }

    @Test
    fun `detections keep their masks when stricter thresholds remove others`() {
        val size = 4
        val outputs = listOf(
            values("num_detections", listOf(1), floatArrayOf(2f)),
            values("detection_scores", listOf(1, 2), floatArrayOf(0.9f, 0.8f)),
            values("detection_classes", listOf(1, 2), floatArrayOf(0f, 1f)),
            values("detection_boxes", listOf(1, 2, 4), floatArrayOf(0f, 0f, 1f, 1f, 0f, 0f, 1f, 1f)),
            values(MASKS, listOf(1, 2, size, size), FloatArray(2 * size * size) { if (it < size * size) 0f else 1f }),
        ).associateBy { it.name }
        val reader = kindOf(outputs.keys).reader(outputs, model(16, 16))
        val box = Letterbox(16, 16, 16, 16)
        val found = reader.read(Thresholds(0.1f, 1f, 100, setOf(1)))
        assertEquals(listOf(1), found.classIds.toList())
        assertEquals(256, reader.mask(found, 0, box)!!.toBooleanArray().count { it })
        assertEquals(0, reader.read(Thresholds(0.1f, 1f, 100, setOf(0))).let { reader.mask(it, 0, box)!!.toBooleanArray().count { inside -> inside } })
    }

    @Test
    fun `raw heads have the masks of the same boxes without raw heads`() {
        val random = Random(3)
        val (size, classes, count) = listOf(32, 2, 3)
        val strides = listOf(8, 16)
        val anchors = listOf(listOf(10f, 13f, 16f, 12f), listOf(24f, 16f, 20f, 28f))
        val model = model(size, size).copy(strides = strides, anchorsPx = anchors)
        fun logits(name: String, length: Int, perBox: Int, spread: Float): Output =
            values(name, listOf(1, length, length, 2 * perBox), FloatArray(length * length * 2 * perBox) { spread * (random.nextFloat() - 0.5f) })
        val heads = strides.indices.flatMap { scale ->
            val length = size / strides[scale]
            listOf(logits("box_$scale", length, 4, 2f), logits("objectness_$scale", length, 1, 8f), logits("classes_$scale", length, classes, 8f), logits("coefficients_$scale", length, count, 8f))
        }
        val prototypes = values("prototypes", listOf(1, 8, 8, count), FloatArray(64 * count) { 8 * (random.nextFloat() - 0.5f) })
        val raw = (heads + prototypes).associateBy { it.name }
        fun all(part: String) = strides.indices.flatMap { raw.getValue("${part}_$it").values.toList() }.toFloatArray()
        val decoded = decode(
            strides.mapIndexed { i, stride -> RawHead(raw.getValue("box_$i").values, raw.getValue("objectness_$i").values, raw.getValue("classes_$i").values, anchors[i], stride, size / stride) },
            classes,
            confidence = 0f,
        )
        val rows = decoded.boxesXyxyPx.size / 4
        val objectness = all("objectness").map(::sigmoid)
        val (boxes, coefficients) = decoded.boxesXyxyPx to all("coefficients")
        val plain = listOf(
            values("boxes", listOf(1, rows, 4), FloatArray(boxes.size) { boxes[it / 4 * 4 + listOf(1, 0, 3, 2)[it % 4]] / size }),
            values("scores", listOf(1, rows, classes), decoded.scores),
            values("coefficients", listOf(1, rows, count), FloatArray(coefficients.size) { objectness[it / count] * coefficients[it] }),
            prototypes,
        ).associateBy { it.name }
        val thresholds = Thresholds(0.3f, 0.45f, 100)
        val box = Letterbox(50, 40, size, size)
        val (found, expected) = listOf(raw, plain).map { outputs ->
            val reader = kindOf(outputs.keys).reader(outputs, model)
            val arrays = reader.read(thresholds)
            assertEquals(arrays.size, arrays.scores.count { it > thresholds.confidence })
            List(arrays.size) { Triple(arrays.boxesXyxyPx.toList().subList(4 * it, 4 * it + 4), arrays.classIds[it], reader.mask(arrays, it, box)!!.toBooleanArray().toList()) }
        }
        assertEquals(expected, found)
        assertTrue(found.size > 5 && found.map { (_, _, mask) -> mask.count { it } }.distinct().size > 5, "$found")
    }

    @Test
    fun `masks whose size does not divide the input are rejected`() {
        val masks = values(MASKS, listOf(1, 1, 5, 4), FloatArray(20))
        val error = assertFailsWith<ModelException> { MaskReader(CroppedMasks(mapOf(MASKS to masks), 1), model(16, 16)) }
        assertEquals("The model's masks are 5 x 4, which does not divide its input of 16 x 16. Export the model again.", error.message)
    }
}
