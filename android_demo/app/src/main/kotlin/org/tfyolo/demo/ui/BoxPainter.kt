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
 * Draws boxes with their labels: on the screen and in images that are shared.
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
    private val rectangle = RectF()

    /** @param score as text, in the person's own way of writing numbers. */
    fun draw(canvas: Canvas, found: List<Detection>, mapping: ViewMapping, width: Int, height: Int, score: (Float) -> String) {
        val boxes = found.map { mapping.toView(it.box) }
        // The best last, so that it lies on top; labels over all lines, so that they can be read.
        val order = found.indices.reversed()
        for (i in order) {
            line.color = classColor(found[i].classIndex)
            val box = boxes[i]
            canvas.drawRoundRect(box.left, box.top, box.right, box.bottom, 3 * density, 3 * density, line)
        }
        val labels = found.map { "${it.label} ${score(it.score)}" }
        val padding = 4 * density
        val places = placeLabels(
            boxes, labels.map { text.measureText(it) + 2 * padding }, text.textSize + 2 * padding, width.toFloat(), height.toFloat(),
        )
        for (i in order) label(canvas, labels[i], places[i], classColor(found[i].classIndex), padding)
    }

    private fun label(canvas: Canvas, label: String, place: Box, color: Int, padding: Float) {
        rectangle.set(place.left, place.top, place.right, place.bottom)
        fill.color = color
        canvas.drawRoundRect(rectangle, 3 * density, 3 * density, fill)
        text.color = textColor(color)
        canvas.drawText(label, place.left + padding, place.bottom - padding - 2 * density, text)
    }
}
