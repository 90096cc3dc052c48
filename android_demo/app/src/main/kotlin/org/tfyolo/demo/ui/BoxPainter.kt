package org.tfyolo.demo.ui

import android.graphics.Canvas
import android.graphics.Paint
import android.graphics.RectF
import org.tfyolo.detector.Box
import org.tfyolo.detector.Detection
import org.tfyolo.detector.ViewMapping
import org.tfyolo.detector.classColor
import org.tfyolo.detector.placeLabels
import org.tfyolo.detector.textColor

/**
 * Draws boxes and their labels, on the screen and in shared images.
 *
 * @param density pixels of the target per dp.
 */
class BoxPainter(private val density: Float) {
    private val line = Paint(Paint.ANTI_ALIAS_FLAG).apply {
        style = Paint.Style.STROKE
        strokeWidth = 2.5f * density
    }
    private val fill = Paint(Paint.ANTI_ALIAS_FLAG)
    private val text = Paint(Paint.ANTI_ALIAS_FLAG).apply {
        textSize = 13 * density
        isFakeBoldText = true
    }
    private val labelBounds = RectF()

    /**
     * Draw detections.
     *
     * @param detections sorted by descending score.
     * @param mapping from image pixels to canvas pixels.
     * @param formatScore formats a score in the user's locale.
     */
    fun draw(canvas: Canvas, detections: List<Detection>, mapping: ViewMapping, width: Int, height: Int, formatScore: (Float) -> String) {
        val boxes = detections.map { mapping.toView(it.box) }
        // In reverse order, so that the detection with the highest score is on top; labels are drawn over all boxes.
        val order = detections.indices.reversed()
        for (i in order) {
            line.color = classColor(detections[i].classId)
            val box = boxes[i]
            canvas.drawRoundRect(box.left, box.top, box.right, box.bottom, 3 * density, 3 * density, line)
        }
        val labels = detections.map { "${it.label} ${formatScore(it.score)}" }
        val padding = 4 * density
        val rectangles = placeLabels(
            boxes, labels.map { text.measureText(it) + 2 * padding }, text.textSize + 2 * padding, width.toFloat(), height.toFloat(),
        )
        for (i in order) label(canvas, labels[i], rectangles[i], classColor(detections[i].classId), padding)
    }

    private fun label(canvas: Canvas, label: String, rectangle: Box, color: Int, padding: Float) {
        labelBounds.set(rectangle.left, rectangle.top, rectangle.right, rectangle.bottom)
        fill.color = color
        canvas.drawRoundRect(labelBounds, 3 * density, 3 * density, fill)
        text.color = textColor(color)
        canvas.drawText(label, rectangle.left + padding, rectangle.bottom - padding - 2 * density, text)
    }
}
