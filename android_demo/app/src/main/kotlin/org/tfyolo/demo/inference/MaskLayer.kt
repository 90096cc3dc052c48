package org.tfyolo.demo.inference

import android.graphics.Bitmap
import android.graphics.Rect
import java.util.concurrent.ConcurrentLinkedQueue
import org.tfyolo.detector.Detections
import org.tfyolo.detector.ImageResult
import org.tfyolo.detector.MaskRenderer
import org.tfyolo.detector.classColor

/**
 * What a model found in one image.
 *
 * @property masks the masks of all detections; null if there are none, or they are not to be drawn.
 */
class Found(val result: ImageResult, val masks: MaskLayer?)

/** The masks of all detections in one translucent image of the size of the source image, in the colors of the boxes. */
class MaskLayer {
    private var pixels = IntArray(0)
    private val painted = Rect()

    /** The masks; replaced if the size of the source image changes. */
    var bitmap: Bitmap = Bitmap.createBitmap(1, 1, Bitmap.Config.ARGB_8888)
        private set

    /** Draw the masks in place of the previous ones. Only the rectangles around the masks, old and new, are written. */
    fun draw(detections: Detections, renderer: MaskRenderer) {
        resize(detections.sourceWidth, detections.sourceHeight)
        val width = bitmap.width
        for (y in painted.top until painted.bottom) pixels.fill(0, y * width + painted.left, y * width + painted.right)
        val changed = Rect(painted)
        painted.setEmpty()
        // In reverse order, so that the detection with the highest score is on top, as with boxes.
        for (one in detections.asReversed()) {
            val mask = one.mask ?: continue
            renderer.draw(mask, classColor(one.classId) and RGB or TRANSLUCENT, pixels, width)
            painted.union(mask.left, mask.top, mask.left + mask.width, mask.top + mask.height)
        }
        changed.union(painted)
        if (changed.isEmpty) return
        bitmap.setPixels(pixels, changed.top * width + changed.left, width, changed.left, changed.top, changed.width(), changed.height())
    }

    private fun resize(width: Int, height: Int) {
        if (bitmap.width == width && bitmap.height == height) return
        pixels = IntArray(width * height)
        painted.setEmpty()
        bitmap = Bitmap.createBitmap(width, height, Bitmap.Config.ARGB_8888)
    }

    private companion object {
        const val RGB = 0xffffff
        const val TRANSLUCENT = 0x80 shl 24
    }
}

/** Draws masks on the model's thread into layers that the display has given back: cameras cause no allocation of images. */
class MaskLayers {
    private val free = ConcurrentLinkedQueue<MaskLayer>()
    private val renderer = MaskRenderer()

    /** Draw the masks of a result. @return null if the result has no masks, or there is not enough memory. */
    fun draw(result: ImageResult): MaskLayer? {
        if (result !is Detections || result.none { it.mask != null }) return null
        return try {
            (free.poll() ?: MaskLayer()).apply { draw(result, renderer) }
        } catch (_: OutOfMemoryError) {
            null
        }
    }

    fun recycle(layer: MaskLayer) {
        if (free.size < MAX_FREE) free.add(layer)
    }

    private companion object {
        const val MAX_FREE = 2
    }
}
