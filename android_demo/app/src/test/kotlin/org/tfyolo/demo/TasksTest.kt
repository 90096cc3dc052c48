package org.tfyolo.demo

import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.view.View
import android.widget.Switch
import java.io.File
import kotlin.math.abs
import kotlin.test.BeforeTest
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertNotNull
import kotlin.test.assertNotSame
import kotlin.test.assertNull
import kotlin.test.assertSame
import kotlin.test.assertTrue
import org.json.JSONObject
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.annotation.Config
import org.robolectric.annotation.GraphicsMode
import org.tfyolo.demo.inference.Found
import org.tfyolo.demo.inference.MaskLayers
import org.tfyolo.detector.Classification
import org.tfyolo.detector.Detections
import org.tfyolo.detector.ViewMapping
import org.tfyolo.detector.classColor

/** Models of other tasks than detection, in the app. */
@RunWith(RobolectricTestRunner::class)
@GraphicsMode(GraphicsMode.Mode.NATIVE)
@Config(qualifiers = "w411dp-h891dp-port-xhdpi")
class TasksTest {
    @BeforeTest
    fun engine() {
        useSingleThread()
        Settings(app).confidence = 0.25f
    }

    private fun MainActivity.awaitFound(previous: Found?): Found {
        await("results") { overlay.found.let { it != null && it !== previous } }
        return overlay.found!!
    }

    @Test
    fun `a classifier shows its most probable classes`() = start().use { controller ->
        val activity = controller.get()
        val before = activity.awaitDetections()
        assertTrue(activity.isShown(R.id.detector_controls))
        activity.import("classifier_int8.tflite")
        await("a classification") { activity.overlay.found?.result is Classification }
        val found = activity.overlay.found!!.result as Classification
        assertEquals(640 to 480, found.sourceWidth to found.sourceHeight)
        val best = found.top(1).single()
        val expected = JSONObject(demoModel("classifiers.json").readText()).getJSONObject("classifier_int8").getJSONObject("BloodImage_00007.png")
        // The app decodes the sample from JPEG, Python decoded it from PNG.
        assertTrue(abs(expected.getDouble(best.label) - best.probability) < 0.05, "$found instead of $expected")
        assertTrue(activity.text(R.id.summary).startsWith("Most probable class: ${best.label}, "))
        assertEquals(activity.text(R.id.summary), activity.overlay.contentDescription)
        assertEquals("tiny-cls, 96 × 64, int8", activity.text(R.id.model_facts))
        assertEquals(View.GONE, activity.findViewById<View>(R.id.detector_controls).visibility)
        assertNull(activity.overlay.detections)
        val image = activity.screenshot("phone-classes", 822, 1782)
        assertTrue(colors(image, classColor(best.classId)) > 500, "the bar of the best class has its color")
        activity.findViewById<View>(R.id.share).performClick()
        val shared = BitmapFactory.decodeFile(File(app.cacheDir, "shared").listFiles()!!.single().path)
        assertEquals(640 to 480, shared.width to shared.height)
        activity.findViewById<android.widget.Spinner>(R.id.model).setSelection(0)
        assertTrue(activity.awaitDetections(before).isNotEmpty())
        assertTrue(activity.isShown(R.id.detector_controls))
    }

    @Test
    @Config(qualifiers = "ar-ldrtl-w891dp-h411dp-land-xhdpi")
    fun `classes in a right-to-left layout`() = start().use { controller ->
        val activity = controller.get()
        activity.awaitDetections()
        activity.import("classifier.tflite")
        await("a classification") { activity.overlay.found?.result is Classification }
        val best = (activity.overlay.found!!.result as Classification).top(1).single()
        assertTrue(colors(activity.screenshot("across-classes-rtl", 1782, 822), classColor(best.classId)) > 300)
    }

    @Test
    fun `masks are drawn in the colors of the boxes, and a switch hides them`() = start().use { controller ->
        val activity = controller.get()
        activity.awaitDetections()
        assertEquals(View.GONE, activity.findViewById<View>(R.id.masks).visibility)
        activity.import("segmenter.tflite")
        await("masks") { activity.overlay.found?.masks != null }
        val found = activity.overlay.found!!
        val one = assertNotNull(activity.overlay.detections).maxBy { it.mask!!.toBooleanArray().count { inside -> inside } }
        val layer = found.masks!!.bitmap
        assertEquals(640 to 480, layer.width to layer.height)
        assertEquals((found.result as Detections).union(640), (0 until 640 * 480).filter { layer.getPixel(it % 640, it / 640) ushr 24 != 0 }.toSet())
        assertTrue(activity.isShown(R.id.masks))
        val with = activity.screenshot("phone-masks", 822, 1782)
        activity.findViewById<Switch>(R.id.masks).performClick()
        val plain = activity.awaitFound(found)
        assertNull(plain.masks)
        assertEquals(false, Settings(app).masks)
        val without = activity.screenshot("phone-masks-off", 822, 1782)
        assertTrue(tinted(with, without, activity) > 500, "$one")
        activity.findViewById<Switch>(R.id.masks).performClick()
        assertTrue(activity.awaitFound(plain).masks != null)
    }

    /** Pixels of all masks, as indices of an image of this width. */
    private fun Detections.union(width: Int): Set<Int> = flatMap { one ->
        val mask = one.mask!!
        mask.toBooleanArray().withIndex().filter { it.value }.map { (at, _) -> (mask.top + at / mask.width) * width + mask.left + at % mask.width }
    }.toSet()

    /** Number of pixels of the displayed image that masks have changed. */
    private fun tinted(with: Bitmap, without: Bitmap, activity: MainActivity): Int {
        val overlay = activity.overlay
        val (left, top) = IntArray(2).also(overlay::getLocationInWindow)
        val mapping = ViewMapping(640, 480, overlay.width, overlay.height, overlay.scaleType)
        return (0 until 480).sumOf { y ->
            (0 until 640).count { x ->
                val (column, row) = (left + mapping.toViewX(x + 0.5f)).toInt() to (top + mapping.toViewY(y + 0.5f)).toInt()
                with.getPixel(column, row) != without.getPixel(column, row)
            }
        }
    }

    private fun colors(image: Bitmap, color: Int): Int {
        val pixels = IntArray(image.width * image.height)
        image.getPixels(pixels, 0, image.width, 0, 0, image.width, image.height)
        return pixels.count { it == color }
    }

    @Test
    fun `layers of masks are reused, and hold only the masks of their own result`() = start().use { controller ->
        val activity = controller.get()
        activity.awaitDetections()
        activity.import("segmenter.tflite")
        await("masks") { activity.overlay.found?.masks != null }
        val result = activity.overlay.found!!.result as Detections
        val layers = MaskLayers()
        val first = layers.draw(result)!!
        assertNotSame(first, layers.draw(result))
        layers.recycle(first)
        val pixels = first.bitmap.pixels()
        assertSame(first, layers.draw(result))
        assertTrue(pixels.contentEquals(first.bitmap.pixels()))
        assertNull(layers.draw(Detections(emptyList(), 640, 480, result.timings)))
        layers.recycle(first)
        val last = Detections(result.takeLast(1), 640, 480, result.timings)
        val drawn = layers.draw(last)!!.bitmap.pixels()
        assertEquals(last.union(640), drawn.indices.filter { drawn[it] != 0 }.toSet())
    }

    private fun Bitmap.pixels() = IntArray(width * height).also { getPixels(it, 0, width, 0, 0, width, height) }
}
