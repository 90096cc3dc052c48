package org.tfyolo.demo.camera

import android.graphics.Matrix

/** Width and height in pixels. */
data class Extent(val width: Int, val height: Int) {
    val pixels: Int get() = width * height
    val rotated: Extent get() = Extent(height, width)
}

/** Geometry of the camera sensor, the display and the preview view. */
object CameraGeometry {
    /**
     * Clockwise rotation in degrees that makes a sensor's image upright on the display.
     *
     * @param sensor SENSOR_ORIENTATION: clockwise degrees from the sensor's image to the device's natural orientation.
     * @param display counterclockwise rotation of the display's content: 0, 90, 180 or 270.
     * @param front true for a front camera; its image is not mirrored.
     */
    fun rotation(sensor: Int, display: Int, front: Boolean): Int =
        if (front) (sensor + display) % 360 else (sensor - display + 360) % 360

    /**
     * Size for preview and detection: the largest size that both support and that does not exceed [MAX_SIZE].
     *
     * @return null if there is no size.
     */
    fun size(preview: List<Extent>, frames: List<Extent>): Extent? {
        val both = frames.filter { it in preview }.ifEmpty { frames }
        val small = both.filter { it.pixels <= MAX_SIZE.pixels && maxOf(it.width, it.height) <= MAX_SIZE.width }
        return small.maxByOrNull { it.pixels } ?: both.minByOrNull { it.pixels }
    }

    /**
     * Transform with which a TextureView shows the camera upright and center-cropped (aspect ratio kept).
     *
     * Without a transform, the view shows the image in the device's natural orientation, stretched to the view's size.
     */
    fun previewMatrix(view: Extent, buffer: Extent, sensor: Int, display: Int): Matrix {
        val natural = if (sensor % 180 == 0) buffer else buffer.rotated
        val upright = if (display % 180 == 0) natural else natural.rotated
        val scale = maxOf(view.width.toFloat() / upright.width, view.height.toFloat() / upright.height)
        return Matrix().apply {
            setTranslate(-view.width / 2f, -view.height / 2f)
            postScale(natural.width.toFloat() / view.width, natural.height.toFloat() / view.height)
            postRotate(-display.toFloat())
            postScale(scale, scale)
            postTranslate(view.width / 2f, view.height / 2f)
        }
    }

    val MAX_SIZE = Extent(1280, 720)
}
