package org.tfyolo.demo.ui

import android.graphics.Canvas
import android.graphics.Paint
import android.graphics.RectF
import org.tfyolo.demo.inference.Found
import org.tfyolo.detector.Classification
import org.tfyolo.detector.Detections
import org.tfyolo.detector.ScaleType
import org.tfyolo.detector.ViewMapping

/**
 * Draws the results of any model, on the screen and in shared images.
 *
 * @param density pixels of the target per dp.
 */
class ResultPainter(density: Float) {
    private val boxes = BoxPainter(density)
    private val classes = ClassPainter(density)
    private val masks = Paint(Paint.FILTER_BITMAP_FLAG)
    private val bounds = RectF()

    /**
     * Draw results over an image of `width` x `height` pixels, scaled as `scaleType` says.
     *
     * @param area the part of the canvas, in pixels, where text is not hidden by system bars.
     * @param rightToLeft layout direction.
     * @param formatScore formats a score in the user's locale.
     */
    fun draw(
        canvas: Canvas,
        found: Found,
        scaleType: ScaleType,
        width: Int,
        height: Int,
        area: RectF,
        rightToLeft: Boolean,
        formatScore: (Float) -> String,
    ) {
        val result = found.result
        val mapping = ViewMapping(result.sourceWidth, result.sourceHeight, width, height, scaleType)
        found.masks?.let {
            bounds.set(0f, 0f, result.sourceWidth * mapping.scale, result.sourceHeight * mapping.scale)
            bounds.offset(mapping.offsetX, mapping.offsetY)
            canvas.drawBitmap(it.bitmap, null, bounds, masks)
        }
        when (result) {
            is Detections -> boxes.draw(canvas, result, mapping, width, height, formatScore)
            is Classification -> classes.draw(canvas, result, mapping, area, rightToLeft, formatScore)
        }
    }
}
