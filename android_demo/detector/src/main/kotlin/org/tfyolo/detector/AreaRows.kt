package org.tfyolo.detector

import kotlin.math.abs
import kotlin.math.ceil
import kotlin.math.floor

/**
 * Downscales a part of an image by area averaging: each pixel is the mean of the pixels below it, weighted by the area that they
 * share. Bit-identical to OpenCV's `INTER_AREA`, which rounds exact ratios of 2 up and all others to even.
 */
internal class AreaRows(private val upright: Upright, private val part: Region, width: Int, height: Int) : ResizedRows {
    private val rowTaps = AreaTaps(part.height, height)
    private val columnTaps = AreaTaps(part.width, width)
    private val columns = IntArray(part.width) { upright.column(part.left + it) }
    private val rgb = IntArray(part.width)
    private val reduced = FloatArray(3 * width)
    private val sums = FloatArray(3 * width)
    private val means = IntArray(3 * width)
    private var reducedRow = NO_ROW

    /** Both ratios are whole numbers: values are summed without weights, and divided at the end. */
    private val whole = rowTaps.ratio > 0 && columnTaps.ratio > 0
    private val halved = rowTaps.ratio == 2 && columnTaps.ratio == 2
    private val share = if (whole) 1f / (rowTaps.ratio * columnTaps.ratio) else 1f

    override fun invalidate() {
        reducedRow = NO_ROW
    }

    override fun row(y: Int): IntArray {
        sums.fill(0f)
        for (tap in rowTaps.starts[y] until rowTaps.starts[y + 1]) {
            // The last row of a pixel is the first row of the pixel below, if they share it.
            val source = rowTaps.indices[tap]
            if (source != reducedRow) reduceRow(source)
            reducedRow = source
            val weight = if (whole) 1f else rowTaps.weights[tap]
            for (i in sums.indices) sums[i] += reduced[i] * weight
        }
        for (i in sums.indices) means[i] = if (halved) (sums[i].toInt() + 2) shr 2 else roundToEven(sums[i] * share)
        return means
    }

    private fun reduceRow(y: Int) {
        upright.row(part.top + y, columns, columns.size, rgb)
        val starts = columnTaps.starts
        for (x in 0 until starts.size - 1) {
            var red = 0f
            var green = 0f
            var blue = 0f
            for (tap in starts[x] until starts[x + 1]) {
                val pixel = rgb[columnTaps.indices[tap]]
                val weight = if (whole) 1f else columnTaps.weights[tap]
                red += (pixel shr 16 and 255) * weight
                green += (pixel shr 8 and 255) * weight
                blue += (pixel and 255) * weight
            }
            reduced[3 * x] = red
            reduced[3 * x + 1] = green
            reduced[3 * x + 2] = blue
        }
    }

    private companion object {
        const val NO_ROW = -1
    }
}

/**
 * Source indices and weights of area averaging along one side; those of pixel i are at `starts[i] until starts[i + 1]`.
 *
 * Source: the table of OpenCV's `resize` for `INTER_AREA`; pixels that share less than 1/1000 are left out, as there.
 */
private class AreaTaps(from: Int, to: Int) {
    val starts = IntArray(to + 1)
    val indices: IntArray
    val weights: FloatArray

    /** The ratio of the sides if it is a whole number, otherwise 0. */
    val ratio: Int

    init {
        val scale = 1 / (to.toDouble() / from)
        ratio = Math.rint(scale).let { if (abs(scale - it) < Math.ulp(1.0)) it.toInt() else 0 }
        val indices = ArrayList<Int>()
        val weights = ArrayList<Float>()
        fun add(index: Int, weight: Double) {
            indices += index
            weights += weight.toFloat()
        }
        for (i in 0 until to) {
            val begin = i * scale
            val end = begin + scale
            val width = minOf(scale, from - begin)
            val last = minOf(floor(end).toInt(), from - 1)
            val first = minOf(ceil(begin).toInt(), last)
            if (first - begin > NEGLIGIBLE) add(first - 1, (first - begin) / width)
            for (index in first until last) add(index, 1 / width)
            if (end - last > NEGLIGIBLE) add(last, minOf(end - last, 1.0, width) / width)
            starts[i + 1] = indices.size
        }
        this.indices = indices.toIntArray()
        this.weights = weights.toFloatArray()
    }

    private companion object {
        const val NEGLIGIBLE = 1e-3
    }
}

/** Rounds 0 to 4,194,303 to the nearest whole number, halves to even: adding 2^23 leaves no bits for fractions. */
private fun roundToEven(value: Float): Int = (value + 8_388_608f).toRawBits() and 0x3f_ffff
