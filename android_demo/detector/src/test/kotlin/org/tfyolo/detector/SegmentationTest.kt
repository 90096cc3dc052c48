package org.tfyolo.detector

import java.io.File
import java.util.Base64
import kotlin.math.abs
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertNotNull
import kotlin.test.assertTrue
import org.json.JSONObject

/** Models that segment objects: TensorFlow Lite's Android library gives the same masks as Python. */
class SegmentationTest {
    private val expected = JSONObject(File(demoModels, "segmenters.json").readText())
    private val thresholds = Thresholds(0.25f, 0.45f, 300)

    @Test
    fun `masks of float and int8 files, and of files without NMS, are those of Python`() {
        for ((name, wanted) in listOf("segmenter" to 0.999, "segmenter_int8" to 0.995, "segmenter_none" to 0.999)) {
            var equal = 0L
            var all = 0L
            detector(modelBytes("$name.tflite")).use { detector ->
                assertTrue(detector.description.hasMasks)
                detector.thresholds = thresholds
                val images = expected.getJSONObject(name)
                for (image in images.keys()) {
                    val rows = images.getJSONArray(image).objects()
                    val found = detector.detect(PixelSource.of(File(demoModels, image)), 0, false)
                    assertEquals(rows.size, found.size, "$name on $image")
                    val unmatched = rows.toMutableList()
                    for (one in found) {
                        val row = unmatched.filter { it.getInt("classId") == one.classId }.minByOrNull { it.distance(one) }
                        unmatched.remove(assertNotNull(row, "$name on $image: $one"))
                        val (same, pixels) = compare(row, assertNotNull(one.mask), found.sourceWidth, found.sourceHeight)
                        equal += same
                        all += pixels
                    }
                }
            }
            println("$name: $equal of $all pixels of masks are equal")
            assertTrue(all > 1000 && equal >= wanted * all, "$name: $equal of $all pixels of masks")
        }
    }

    private fun JSONObject.distance(one: Detection): Float {
        val box = floats("box")
        return abs(box[0] - one.box.left) + abs(box[1] - one.box.top) + abs(box[2] - one.box.right) + abs(box[3] - one.box.bottom)
    }

    /** Number of equal pixels, and of all pixels, in the rectangle around both masks. */
    private fun compare(row: JSONObject, mask: Mask, width: Int, height: Int): Pair<Long, Long> {
        val (left, top) = row.ints("corner_xy")
        val (rows, columns) = row.ints("patch_hw")
        val bits = Base64.getDecoder().decode(row.getString("bits"))
        val theirs = BooleanArray(width * height)
        for (y in 0 until rows) for (x in 0 until columns) {
            theirs[(top + y) * width + left + x] = bits[y * ((columns + 7) / 8) + x / 8].toInt() shr (7 - x % 8) and 1 == 1
        }
        val ours = IntArray(width * height).also { MaskRenderer().draw(mask, 1, it, width) }
        var equal = 0L
        var all = 0L
        for (y in minOf(top, mask.top) until maxOf(top + rows, mask.top + mask.height)) {
            for (x in minOf(left, mask.left) until maxOf(left + columns, mask.left + mask.width)) {
                all++
                if (theirs[y * width + x] == (ours[y * width + x] == 1)) equal++
            }
        }
        return equal to all
    }

    @Test
    fun `a rotated frame has the same masks as the upright image`() {
        val image = PixelSource.of(File(demoModels, "odd.png"))
        detector(modelBytes("segmenter.tflite")).use { detector ->
            detector.thresholds = thresholds
            val upright = detector.detect(image, 0, false)
            val rotated = detector.detect(Upright(image, 270, false).pixels(), 90, false)
            assertTrue(upright.isNotEmpty())
            assertEquals(upright.map { it.mask!!.toBooleanArray().toList() }, rotated.map { it.mask!!.toBooleanArray().toList() })
        }
    }
}
