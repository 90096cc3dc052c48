package org.tfyolo.demo.camera

import android.graphics.Matrix

/** Width and height in pixels. */
data class Extent(val width: Int, val height: Int) {
    val pixels: Int get() = width * height
    val turned: Extent get() = Extent(height, width)
}

/** How a sensor, a display and a view lie to each other. */
object CameraGeometry {
    /**
     * Degrees clockwise that make a sensor's image upright on a display.
     *
     * @param sensor degrees clockwise from the sensor's image to the device's natural position.
     * @param display degrees that the display's content is turned, counter-clockwise: 0, 90, 180, 270.
     * @param front the lens looks at the person; the image is not mirrored.
     */
    fun rotation(sensor: Int, display: Int, front: Boolean): Int =
        if (front) (sensor + display) % 360 else (sensor - display + 360) % 360

    /**
     * The size for preview and detection: the largest that is not above [LARGEST], of those that both can have.
     *
     * @return null if there is none at all.
     */
    fun size(preview: List<Extent>, frames: List<Extent>): Extent? {
        val both = frames.filter { it in preview }.ifEmpty { frames }
        val small = both.filter { it.pixels <= LARGEST.pixels && maxOf(it.width, it.height) <= LARGEST.width }
        return small.maxByOrNull { it.pixels } ?: both.minByOrNull { it.pixels }
    }

    /**
     * What makes a camera's texture fill a view upright, its proportions kept and its middle in the middle.
     *
     * By itself the view shows the sensor's image in the device's natural position, stretched to its own size.
     */
    fun previewMatrix(view: Extent, buffer: Extent, sensor: Int, display: Int): Matrix {
        val natural = if (sensor % 180 == 0) buffer else buffer.turned
        val upright = if (display % 180 == 0) natural else natural.turned
        val scale = maxOf(view.width.toFloat() / upright.width, view.height.toFloat() / upright.height)
        return Matrix().apply {
            setTranslate(-view.width / 2f, -view.height / 2f)
            postScale(natural.width.toFloat() / view.width, natural.height.toFloat() / view.height)
            postRotate(-display.toFloat())
            postScale(scale, scale)
            postTranslate(view.width / 2f, view.height / 2f)
        }
    }

    val LARGEST = Extent(1280, 720)
}
