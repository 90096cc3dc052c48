package org.tfyolo.demo.ui

import android.graphics.Canvas
import android.graphics.Color
import android.graphics.Paint
import android.graphics.RectF
import android.text.TextPaint
import android.text.TextUtils
import org.tfyolo.detector.ClassProbability
import org.tfyolo.detector.Classification
import org.tfyolo.detector.ViewMapping
import org.tfyolo.detector.classColor

/**
 * Draws the most probable classes with bars and percentages, and a frame around the part of the image that the model sees.
 *
 * @param density pixels of the target per dp.
 */
class ClassPainter(private val density: Float) {
    private val frame = Paint(Paint.ANTI_ALIAS_FLAG).apply {
        style = Paint.Style.STROKE
        strokeWidth = 1.5f * density
        color = FRAME
    }
    private val fill = Paint(Paint.ANTI_ALIAS_FLAG)
    private val text = TextPaint(Paint.ANTI_ALIAS_FLAG).apply {
        // A TextPaint has a density of its own.
        textSize = 14 * this@ClassPainter.density
        color = Color.WHITE
    }

    /**
     * Draw a classification.
     *
     * @param mapping from image pixels to canvas pixels.
     * @param area in canvas pixels; classes are listed in its lower corner, at the left or, if `rightToLeft`, at the right.
     * @param formatScore formats a probability in the user's locale.
     */
    fun draw(
        canvas: Canvas,
        classification: Classification,
        mapping: ViewMapping,
        area: RectF,
        rightToLeft: Boolean,
        formatScore: (Float) -> String,
    ) {
        val region = mapping.toView(classification.region)
        canvas.drawRect(region.left, region.top, region.right, region.bottom, frame)
        val padding = 12 * density
        val rowHeight = 30 * density
        val width = minOf(area.width() - 2 * padding, 280 * density)
        val fitting = ((area.height() - 4 * padding) / rowHeight).toInt().coerceIn(1, TOP)
        val rows = classification.top(fitting)
        val left = if (rightToLeft) area.right - padding - width else area.left + padding
        val bottom = area.bottom - padding
        val panel = RectF(left, bottom - rows.size * rowHeight - 2 * padding, left + width, bottom)
        fill.color = PANEL
        canvas.drawRoundRect(panel, 8 * density, 8 * density, fill)
        panel.inset(padding, padding)
        rows.forEachIndexed { i, row -> drawRow(canvas, row, panel, panel.top + i * rowHeight, rightToLeft, formatScore(row.probability)) }
    }

    private fun drawRow(canvas: Canvas, row: ClassProbability, panel: RectF, top: Float, rightToLeft: Boolean, percent: String) {
        val (start, end) = if (rightToLeft) panel.right to panel.left else panel.left to panel.right
        val baseline = top + text.textSize
        text.textAlign = if (rightToLeft) Paint.Align.LEFT else Paint.Align.RIGHT
        canvas.drawText(percent, end, baseline, text)
        text.textAlign = if (rightToLeft) Paint.Align.RIGHT else Paint.Align.LEFT
        val room = panel.width() - text.measureText(percent) - 8 * density
        canvas.drawText(TextUtils.ellipsize(row.label, text, room, TextUtils.TruncateAt.END).toString(), start, baseline, text)
        val barTop = top + 19 * density
        drawBar(canvas, start, end, barTop, TRACK)
        drawBar(canvas, start, start + (end - start) * row.probability.coerceIn(0f, 1f), barTop, classColor(row.classId))
    }

    private fun drawBar(canvas: Canvas, from: Float, to: Float, top: Float, color: Int) {
        fill.color = color
        canvas.drawRoundRect(minOf(from, to), top, maxOf(from, to), top + 6 * density, 3 * density, 3 * density, fill)
    }

    private companion object {
        const val TOP = 5
        const val FRAME = 0xccffffff.toInt()
        const val PANEL = 0xcc000000.toInt()
        const val TRACK = 0x40ffffff
    }
}
