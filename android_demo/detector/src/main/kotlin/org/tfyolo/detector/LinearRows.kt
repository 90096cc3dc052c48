package org.tfyolo.detector

import kotlin.math.floor
import kotlin.math.round

/** Resizes a part of an image by bilinear interpolation; bit-identical to OpenCV's `INTER_LINEAR`. */
internal class LinearRows(private val upright: Upright, private val part: Region, width: Int, height: Int) : ResizedRows {
    private val rowTaps = Taps(part.height, height, clampWeights = false)
    private val columnTaps = Taps(part.width, width, clampWeights = true)
    private val columns = IntArray(2 * width)
    private val rgb = IntArray(2 * width)
    private var above = IntArray(3 * width)
    private var below = IntArray(3 * width)
    private val blended = IntArray(3 * width)
    private var aboveRow = NO_ROW
    private var belowRow = NO_ROW

    init {
        for (x in 0 until width) {
            columns[2 * x] = upright.column(part.left + columnTaps.first[x])
            columns[2 * x + 1] = upright.column(part.left + columnTaps.second[x])
        }
    }

    override fun invalidate() {
        aboveRow = NO_ROW
        belowRow = NO_ROW
    }

    override fun row(y: Int): IntArray {
        val first = rowTaps.first[y]
        val second = rowTaps.second[y]
        // When an image is enlarged, consecutive output rows share source rows.
        if (first == belowRow && first != aboveRow) {
            above = below.also { below = above }
            aboveRow = belowRow.also { belowRow = aboveRow }
        }
        if (aboveRow != first) resizeRow(first, above).also { aboveRow = first }
        if (belowRow != second) resizeRow(second, below).also { belowRow = second }
        val weightAbove = rowTaps.weights[2 * y]
        val weightBelow = rowTaps.weights[2 * y + 1]
        val above = above
        val below = below
        val blended = blended
        for (i in blended.indices) {
            blended[i] = ((weightAbove * (above[i] shr 4)) shr 16) + ((weightBelow * (below[i] shr 4)) shr 16) + 2 shr 2
        }
        return blended
    }

    private fun resizeRow(y: Int, to: IntArray) {
        upright.row(part.top + y, columns, columns.size, rgb)
        val weights = columnTaps.weights
        var at = 0
        for (i in rgb.indices step 2) {
            val left = rgb[i]
            val right = rgb[i + 1]
            val a = weights[i]
            val b = weights[i + 1]
            to[at] = (left shr 16 and 255) * a + (right shr 16 and 255) * b
            to[at + 1] = (left shr 8 and 255) * a + (right shr 8 and 255) * b
            to[at + 2] = (left and 255) * a + (right and 255) * b
            at += 3
        }
    }

    private companion object {
        const val NO_ROW = -1
    }
}

/**
 * Source indices and fixed-point weights (in units of 1/2048, as in OpenCV) of linear interpolation along one side.
 *
 * @param clampWeights beyond the border, give the border pixel the weight 1; otherwise both taps read the border pixel. OpenCV
 *   does the former for columns and the latter for rows, and the two round differently.
 */
private class Taps(from: Int, to: Int, clampWeights: Boolean) {
    val first = IntArray(to)
    val second = IntArray(to)
    val weights = IntArray(2 * to)

    init {
        val scale = 1 / (to.toDouble() / from)
        for (i in 0 until to) {
            val at = ((i + 0.5) * scale - 0.5).toFloat()
            val start = floor(at).toInt()
            val rest = if (clampWeights && (start < 0 || start >= from - 1)) 0f else at - start
            first[i] = start.coerceIn(0, from - 1)
            second[i] = (start + 1).coerceIn(0, from - 1)
            weights[2 * i] = round((1 - rest) * 2048.0).toInt()
            weights[2 * i + 1] = round(rest * 2048.0).toInt()
        }
    }
}
