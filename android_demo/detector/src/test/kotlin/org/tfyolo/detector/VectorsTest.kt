package org.tfyolo.detector

import java.nio.ByteBuffer
import kotlin.test.Test
import kotlin.test.assertContentEquals
import kotlin.test.assertEquals
import org.json.JSONObject

/** All formulas give the results that Python computed (tests/vectors/write.py). */
class VectorsTest {
    private fun each(name: String, check: (JSONObject, String) -> Unit) {
        val cases = vectors(name)
        check(cases.isNotEmpty())
        cases.forEachIndexed { i, case -> check(case, "$name ${case.optString("name", "$i")}") }
    }

    @Test
    fun letterbox() = each("letterbox") { case, what ->
        val (height, width) = case.ints("image_hw")
        val (inputHeight, inputWidth) = case.ints("target_hw")
        val box = Letterbox(width, height, inputWidth, inputHeight)
        assertContentEquals(case.ints("resized_hw"), intArrayOf(box.height, box.width), what)
        assertEquals(case.getInt("left") to case.getInt("top"), box.left to box.top, what)
        assertNear(floatArrayOf(case.getDouble("ratio").toFloat()), floatArrayOf(box.ratio), what)
        assertNear(case.floats("pad_xy"), floatArrayOf(box.padX, box.padY), what)
        val given = case.floats("boxes_in")
        val found = (given.indices step 4).flatMap { i ->
            box.toSource(given[i], given[i + 1], given[i + 2], given[i + 3]).run { listOf(left, top, right, bottom) }
        }
        assertNear(case.floats("boxes_out"), found.toFloatArray(), what)
    }

    @Test
    fun resize() = each("resize") { case, what ->
        val (height, width) = case.ints("image_hw")
        val (inputHeight, inputWidth) = case.ints("target_hw")
        val source = PixelSource.of(width, height, case.ints("pixels_in"))
        assertContentEquals(case.ints("pixels_out"), preprocess(source, inputWidth, inputHeight), what)
    }

    @Test
    fun centerCrop() = each("crop") { case, what ->
        val (height, width) = case.ints("image_hw")
        val (inputHeight, inputWidth) = case.ints("target_hw")
        val source = PixelSource.of(width, height, case.ints("pixels_in"))
        assertContentEquals(case.ints("pixels_out"), preprocess(source, inputWidth, inputHeight, place = ::CenterCrop), what)
    }

    @Test
    fun mostProbableClasses() = each("top") { case, what ->
        val probabilities = if (case.has("logits")) softmax(case.floats("logits")) else case.floats("probabilities")
        val names = List(probabilities.size) { "class $it" }
        val found = Classification(probabilities, names, Box(0f, 0f, 1f, 1f), 1, 1, Timings(0f, 0f, 0f)).top(case.getInt("count"))
        val expected = case.getJSONArray("top").objects()
        assertEquals(expected.map { it.getInt("class") to it.getString("name") }, found.map { it.classId to it.label }, what)
        assertNear(expected.map { it.getDouble("probability").toFloat() }.toFloatArray(), found.map { it.probability }.toFloatArray(), what)
    }

    @Test
    fun upright() = each("upright") { case, what ->
        val (height, width) = case.ints("image_hw")
        val (inputHeight, inputWidth) = case.ints("target_hw")
        val source = PixelSource.of(width, height, case.ints("pixels_in"))
        val found = preprocess(source, inputWidth, inputHeight, case.getInt("rotation"), case.getBoolean("mirror"))
        assertContentEquals(case.ints("pixels_out"), found, what)
    }

    @Test
    fun yuv() = each("yuv") { case, what ->
        val (height, width) = case.ints("image_hw")
        val frame = frameOf(case)
        // Target and frame have the same size, so nothing is interpolated.
        assertContentEquals(case.ints("rgb"), preprocess(frame, width, height), what)
    }

    @Test
    fun decoding() = each("decode") { case, what ->
        val (inputHeight, inputWidth) = case.ints("image_hw")
        val strides = case.ints("strides").toList()
        val anchors = case.getJSONArray("anchors_px").let { rows -> List(rows.length()) { rows.getJSONArray(it).floats().toList() } }
        val parts = case.getJSONArray("heads").objects()
        val anchorsPerCell = anchors[0].size / 2
        val classes = parts[0].floats("classes").size / parts[0].floats("objectness").size
        val heads = parts.mapIndexed { i, part ->
            assertEquals(anchorsPerCell * part.getInt("height") * part.getInt("width"), part.floats("objectness").size)
            assertEquals(inputHeight / strides[i] to inputWidth / strides[i], part.getInt("height") to part.getInt("width"))
            RawHead(part.floats("box"), part.floats("objectness"), part.floats("classes"), anchors[i], strides[i], part.getInt("width"))
        }
        val found = decode(heads, classes, case.getDouble("confidence").toFloat())
        assertNear(case.floats("boxes_xyxy_px"), found.boxesXyxyPx, what)
        assertNear(case.floats("scores"), found.scores, what)
    }

    @Test
    fun nms() = each("nms") { case, what ->
        val options = case.getJSONObject("options")
        val scores = case.getJSONArray("scores")
        val classes = if (scores.length() == 0) 1 else scores.getJSONArray(0).length()
        val found = nonMaxSuppression(
            Candidates(case.floats("boxes_xyxy_px"), scores.floats(), classes),
            thresholds(options),
            options.getBoolean("agnostic"),
            options.getBoolean("multi_label"),
        )
        assertDetections(case, found, what)
    }

    @Test
    fun stricterThresholds() = each("refine") { case, what ->
        val options = case.getJSONObject("options")
        val given = DetectionArrays(case.floats("boxes_xyxy_px"), case.floats("scores"), case.ints("classes"))
        assertDetections(case, refine(given, thresholds(options), options.getBoolean("agnostic")), what)
    }

    @Test
    fun view() = each("view") { case, what ->
        val (height, width) = case.ints("image_hw")
        val (viewHeight, viewWidth) = case.ints("view_hw")
        val mapping = ViewMapping(width, height, viewWidth, viewHeight, ScaleType.valueOf(case.getString("scale_type")))
        val given = case.floats("boxes_in")
        val found = (given.indices step 4).flatMap { i ->
            mapping.toView(Box(given[i], given[i + 1], given[i + 2], given[i + 3])).run { listOf(left, top, right, bottom) }
        }
        assertNear(case.floats("boxes_out"), found.toFloatArray(), what)
    }

    @Test
    fun palette() = each("palette") { case, what ->
        fun argb(hex: String) = (0xff shl 24) or hex.drop(1).toInt(16)
        case.getJSONArray("colors").let { colors ->
            for (i in 0 until colors.length()) assertEquals(argb(colors.getString(i)), classColor(i), "$what, class $i")
        }
        case.getJSONArray("texts").let { texts ->
            for (i in 0 until texts.length()) assertEquals(argb(texts.getString(i)), textColor(classColor(i)), "$what, class $i")
        }
    }

    @Test
    fun labels() = each("labels") { case, what ->
        val boxes = case.getJSONArray("boxes_xyxy_px").let { rows ->
            List(rows.length()) { i -> rows.getJSONArray(i).floats().let { Box(it[0], it[1], it[2], it[3]) } }
        }
        val (width, height) = case.ints("image_wh")
        val found = placeLabels(boxes, case.floats("widths").toList(), case.getDouble("height").toFloat(), width.toFloat(), height.toFloat())
        assertNear(case.floats("places"), found.flatMap { listOf(it.left, it.top, it.right, it.bottom) }.toFloatArray(), what)
    }

    private fun assertDetections(case: JSONObject, found: DetectionArrays, what: String) {
        val kept = case.getJSONObject("kept")
        assertNear(kept.floats("boxes_xyxy_px"), found.boxesXyxyPx, what)
        assertNear(kept.floats("scores"), found.scores, what)
        assertContentEquals(kept.ints("classes"), found.classIds, what)
    }

    private fun preprocess(
        source: Source,
        width: Int,
        height: Int,
        rotation: Int = 0,
        mirror: Boolean = false,
        place: (Int, Int, Int, Int) -> Placement = ::Letterbox,
    ): IntArray {
        val input = directBuffer(width * height * 3)
        Preprocessor(width, height, CAMERA_BYTES, input, place).run(source, rotation, mirror)
        return input.unsigned()
    }

    private fun frameOf(case: JSONObject): YuvFrame {
        val (height, width) = case.ints("image_hw")
        fun plane(name: String): ByteBuffer = case.ints(name).let { values -> direct(ByteArray(values.size) { values[it].toByte() }) }
        return YuvFrame().apply {
            copyFrom(
                width, height, plane("y"), case.getInt("y_row_stride"), plane("u"), plane("v"),
                case.getInt("uv_row_stride"), case.getInt("uv_pixel_stride"),
            )
        }
    }
}
