package org.tfyolo.detector

/** Probability above which a pixel belongs to the object. */
private const val THRESHOLD = 0.5f

/**
 * Draws masks at the size of the image; the same pixels as tfyolo/inference/segmentation/masks.py.
 *
 * The cells of a mask are enlarged to the input's size, and from there to the image, both bilinearly. Create one renderer and
 * use it for all masks: its memory is reused. Not thread-safe.
 *
 * ```
 * val pixels = IntArray(detections.sourceWidth * detections.sourceHeight)
 * for (one in detections.asReversed()) one.mask?.let { renderer.draw(it, classColor(one.classId), pixels, detections.sourceWidth) }
 * ```
 */
public class MaskRenderer {
    private var cellRow = FloatArray(0)
    private var above = FloatArray(0)
    private var below = FloatArray(0)
    private var line = FloatArray(0)
    private val enlarged = Positions()
    private val columns = Positions()
    private var aboveRow = NO_ROW
    private var belowRow = NO_ROW

    /**
     * Set the pixels of the object to a color; other pixels stay as they are.
     *
     * @param color of any format; translucency is applied when the pixels are drawn.
     * @param pixels the whole image, row by row.
     * @param imageWidth width of the image in pixels.
     */
    public fun draw(mask: Mask, color: Int, pixels: IntArray, imageWidth: Int) {
        render(mask) { y, values ->
            val at = (mask.top + y) * imageWidth + mask.left
            for (x in 0 until mask.width) if (columns.sample(values, x) > THRESHOLD) pixels[at + x] = color
        }
    }

    internal fun fill(mask: Mask, inside: BooleanArray) {
        render(mask) { y, values ->
            for (x in 0 until mask.width) inside[y * mask.width + x] = columns.sample(values, x) > THRESHOLD
        }
    }

    /** Pass each row of the rectangle to `draw`, at the width of the enlarged cells. */
    private inline fun render(mask: Mask, draw: (Int, FloatArray) -> Unit) {
        val rows = mask.rows
        val across = mask.columns
        val width = across.size * across.scale
        val last = rows.size * rows.scale - 1
        reserve(across.size, width)
        enlarged.set(width, across.size - 1, across::cellPosition)
        columns.set(across.length, width - 1, across::position)
        aboveRow = NO_ROW
        belowRow = NO_ROW
        for (y in 0 until rows.length) {
            val position = rows.position(y).coerceIn(0.0, last.toDouble())
            val low = position.toInt()
            val weight = (position - low).toFloat()
            enlargeRows(mask, low, minOf(low + 1, last))
            for (x in 0 until width) line[x] = above[x] + (below[x] - above[x]) * weight
            draw(y, line)
        }
    }

    /** Compute rows `first` and `second` of the enlarged cells into `above` and `below`; consecutive rows of the image share them. */
    private fun enlargeRows(mask: Mask, first: Int, second: Int) {
        if (first == belowRow && first != aboveRow) {
            above = below.also { below = above }
            aboveRow = belowRow.also { belowRow = aboveRow }
        }
        if (aboveRow != first) enlargeRow(mask, first, above).also { aboveRow = first }
        if (belowRow != second) enlargeRow(mask, second, below).also { belowRow = second }
    }

    private fun enlargeRow(mask: Mask, y: Int, to: FloatArray) {
        val last = mask.rows.size - 1
        val width = mask.columns.size
        val position = mask.rows.cellPosition(y).coerceIn(0.0, last.toDouble())
        val low = position.toInt()
        val weight = (position - low).toFloat()
        val from = low * width
        val next = minOf(low + 1, last) * width
        for (x in 0 until width) cellRow[x] = mask.cells[from + x] + (mask.cells[next + x] - mask.cells[from + x]) * weight
        for (x in 0 until width * mask.columns.scale) to[x] = enlarged.sample(cellRow, x)
    }

    private fun reserve(cells: Int, width: Int) {
        if (cellRow.size < cells) cellRow = FloatArray(cells)
        if (line.size >= width) return
        above = FloatArray(width)
        below = FloatArray(width)
        line = FloatArray(width)
    }

    private companion object {
        const val NO_ROW = -1
    }
}

/** Indices and weights of linear interpolation along a row; beyond the outer centers the nearest value counts. */
private class Positions {
    private var low = IntArray(0)
    private var high = IntArray(0)
    private var weights = FloatArray(0)

    inline fun set(count: Int, last: Int, position: (Int) -> Double) {
        if (low.size < count) {
            low = IntArray(count)
            high = IntArray(count)
            weights = FloatArray(count)
        }
        for (i in 0 until count) {
            val at = position(i).coerceIn(0.0, last.toDouble())
            low[i] = at.toInt()
            high[i] = minOf(low[i] + 1, last)
            weights[i] = (at - low[i]).toFloat()
        }
    }

    fun sample(values: FloatArray, i: Int): Float = values[low[i]] + (values[high[i]] - values[low[i]]) * weights[i]
}
