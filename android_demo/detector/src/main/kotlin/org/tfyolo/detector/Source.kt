package org.tfyolo.detector

import android.graphics.Bitmap

/**
 * Pixels of an image as it lies in memory, asked for one row at a time.
 *
 * Rows and columns are either the image's own or exchanged, which is half of a rotation: see [Upright].
 */
internal interface Source {
    val width: Int
    val height: Int

    /**
     * Pixels of one row, or of one column if `transposed`.
     *
     * @param at where in the row (or column), each index within it.
     * @param rgb `0xRRGGBB` of each; what is above bit 23 is not zero for all sources.
     */
    fun line(index: Int, transposed: Boolean, at: IntArray, count: Int, rgb: IntArray)
}

/** A bitmap's pixels; one row at a time is fetched from it. */
internal class BitmapSource : Source {
    private var bitmap: Bitmap? = null
    private var fetched = IntArray(0)

    override val width: Int get() = bitmap!!.width
    override val height: Int get() = bitmap!!.height

    fun set(bitmap: Bitmap?) {
        this.bitmap = bitmap
        val longest = if (bitmap == null) 0 else maxOf(bitmap.width, bitmap.height)
        if (fetched.size < longest) fetched = IntArray(longest)
    }

    override fun line(index: Int, transposed: Boolean, at: IntArray, count: Int, rgb: IntArray) {
        if (transposed) bitmap!!.getPixels(fetched, 0, 1, index, 0, 1, height)
        else bitmap!!.getPixels(fetched, 0, width, 0, index, width, 1)
        for (i in 0 until count) rgb[i] = fetched[at[i]]
    }
}

/**
 * A source as a person holds it: turned clockwise by `rotation` degrees, then mirrored left to right.
 *
 * Row y of the upright image is a row or a column of the source, read forwards or backwards.
 */
internal class Upright(private val source: Source, rotation: Int, mirror: Boolean) {
    private val transposed = rotation % 180 != 0
    private val rowsBackwards = rotation == 180 || rotation == 270
    private val columnsBackwards = (rotation == 90 || rotation == 180) != mirror

    val width: Int = if (transposed) source.height else source.width
    val height: Int = if (transposed) source.width else source.height

    init {
        require(rotation in RIGHT_ANGLES) { "rotation is $rotation, and 0, 90, 180 and 270 are possible" }
    }

    /** Index in the source's own line of column x of the upright image. */
    fun column(x: Int): Int = if (columnsBackwards) width - 1 - x else x

    /** Pixels of row y at columns that [column] gave. */
    fun row(y: Int, columns: IntArray, count: Int, rgb: IntArray) {
        source.line(if (rowsBackwards) height - 1 - y else y, transposed, columns, count, rgb)
    }

    private companion object {
        val RIGHT_ANGLES = setOf(0, 90, 180, 270)
    }
}
