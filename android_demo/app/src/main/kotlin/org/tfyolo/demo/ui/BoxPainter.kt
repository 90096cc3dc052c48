package org.tfyolo.demo.ui

import android.graphics.Canvas
import android.graphics.Color
import android.graphics.Paint
import android.graphics.RectF
import org.tfyolo.detector.Detection
import org.tfyolo.detector.ViewMapping

/**
 * Draws boxes with their labels: on the screen and in pictures that are shared.
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
        // The best last, so that it lies on top; labels over all lines, so that they can be read.
        val boxes = found.asReversed().map { it to mapping.toView(it.box) }
        for ((detection, box) in boxes) {
            line.color = colorOf(detection.classIndex)
            canvas.drawRoundRect(box.left, box.top, box.right, box.bottom, 3 * density, 3 * density, line)
        }
        for ((detection, box) in boxes) {
            label(canvas, "${detection.label} ${score(detection.score)}", box.left, box.top, colorOf(detection.classIndex), width, height)
        }
    }

    private fun label(canvas: Canvas, label: String, left: Float, top: Float, color: Int, width: Int, height: Int) {
        val padding = 4 * density
        val wide = text.measureText(label) + 2 * padding
        val high = text.textSize + 2 * padding
        // Above the box; inside where there is no room; never beyond the edge.
        val x = (left - line.strokeWidth / 2).coerceIn(0f, maxOf(0f, width - wide))
        val y = (if (top - high >= 0) top - high else top).coerceIn(0f, maxOf(0f, height - high))
        rectangle.set(x, y, x + wide, y + high)
        fill.color = color
        canvas.drawRoundRect(rectangle, 3 * density, 3 * density, fill)
        text.color = if (Color.luminance(color) > 0.35f) Color.BLACK else Color.WHITE
        canvas.drawText(label, x + padding, y + high - padding - 2 * density, text)
    }

    companion object {
        /** Okabe and Ito's palette, which people tell apart whatever colours they see. */
        private val PALETTE = intArrayOf(0xff56b4e9.toInt(), 0xffe69f00.toInt(), 0xff009e73.toInt(), 0xfff0e442.toInt(), 0xffcc79a7.toInt(), 0xffd55e00.toInt(), 0xff0072b2.toInt())

        fun colorOf(classIndex: Int): Int = PALETTE[Math.floorMod(classIndex, PALETTE.size)]
    }
}
