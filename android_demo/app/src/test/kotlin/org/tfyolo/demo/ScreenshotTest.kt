package org.tfyolo.demo

import android.graphics.Bitmap
import kotlin.math.abs
import kotlin.test.BeforeTest
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertTrue
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.annotation.Config
import org.robolectric.annotation.GraphicsMode
import org.tfyolo.detector.Detections
import org.tfyolo.detector.ViewMapping
import org.tfyolo.detector.classColor

/** Screenshots of the app with detections of the bundled model in a sample. */
@RunWith(RobolectricTestRunner::class)
@GraphicsMode(GraphicsMode.Mode.NATIVE)
class ScreenshotTest {
    @BeforeTest
    fun engine() = useSingleThread()

    private fun shoot(name: String, width: Int, height: Int, expanded: Boolean = false): Bitmap = start().use { controller ->
        val activity = controller.get()
        val found = activity.awaitDetections()
        assertTrue(found.size > 5 && found.any { it.label == "WBC" } && found.any { it.label == "RBC" }, "$found")
        if (expanded) activity.findViewById<android.view.View>(R.id.toggle).performClick()
        val image = activity.screenshot(name, width, height)
        assertBoxes(activity, found, image)
        image
    }

    /** Check that most boxes have their class color at the left edge; labels and other boxes may cover some. */
    private fun assertBoxes(activity: MainActivity, found: Detections, image: Bitmap) {
        val overlay = activity.overlay
        val (left, top) = IntArray(2).also(overlay::getLocationInWindow)
        val mapping = ViewMapping(found.sourceWidth, found.sourceHeight, overlay.width, overlay.height, overlay.scaleType)
        val seen = found.count { one ->
            val box = mapping.toView(one.box)
            val x = (left + box.left).toInt().coerceIn(0, image.width - 1)
            val y = (top + (box.top + box.bottom) / 2).toInt().coerceIn(0, image.height - 1)
            near(image.getPixel(x, y), classColor(one.classId))
        }
        assertTrue(seen * 2 > found.size, "only $seen of ${found.size} boxes are drawn at the expected position")
    }

    private fun near(a: Int, b: Int) = listOf(0, 8, 16).all { abs((a shr it and 255) - (b shr it and 255)) < 48 }

    @Test
    @Config(qualifiers = "w411dp-h891dp-port-xhdpi")
    fun phoneLight() {
        assertEquals(822, shoot("phone-day", 822, 1782).width)
    }

    @Test
    @Config(qualifiers = "w411dp-h891dp-port-night-xhdpi")
    fun phoneDarkWithOpenSheet() {
        shoot("phone-night", 822, 1782, expanded = true)
    }

    @Test
    @Config(qualifiers = "w891dp-h411dp-land-xhdpi")
    fun phoneLandscape() {
        shoot("phone-across", 1782, 822)
    }

    @Test
    @Config(qualifiers = "w1280dp-h800dp-land-mdpi")
    fun tabletLight() {
        shoot("tablet-day", 1280, 800)
    }

    @Test
    @Config(qualifiers = "w800dp-h1280dp-port-night-mdpi")
    fun tabletDark() {
        shoot("tablet-night", 800, 1280)
    }

    @Test
    @Config(qualifiers = "ar-ldrtl-w411dp-h891dp-port-xhdpi")
    fun rightToLeft() {
        shoot("phone-rtl", 822, 1782, expanded = true)
    }

    @Test
    @Config(qualifiers = "de-w411dp-h891dp-port-xhdpi")
    fun german() {
        shoot("phone-german", 822, 1782, expanded = true)
    }
}
