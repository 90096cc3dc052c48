package org.tfyolo.detector

import android.graphics.Bitmap

/**
 * Pixels of an image in memory, read one row or one column at a time; [Upright] reads columns to rotate by 90 or 270 degrees.
 */
internal interface Source {
    val width: Int
    val height: Int

    /**
     * Read pixels of one row, or of one column if `transposed`.
     *
     * @param at indices of the pixels to read, within the row or column.
     * @param count number of indices in `at` to read.
     * @param rgb receives one `0xRRGGBB` per pixel; the upper 8 bits are undefined.
     */
    fun line(index: Int, transposed: Boolean, at: IntArray, count: Int, rgb: IntArray)
}

/** Pixels of a bitmap, fetched one line at a time. */
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
 * A source rotated clockwise by `rotation` degrees, then mirrored left to right if `mirror`.
 *
 * Row y of the upright image is a row or a column of the source, read forward or backward; no pixels are copied.
 */
internal class Upright(private val source: Source, rotation: Int, mirror: Boolean) {
    private val transposed = rotation % 180 != 0
    private val rowsReversed = rotation == 180 || rotation == 270
    private val columnsReversed = (rotation == 90 || rotation == 180) != mirror

    val width: Int = if (transposed) source.height else source.width
    val height: Int = if (transposed) source.width else source.height

    init {
        require(rotation in RIGHT_ANGLES) { "rotation must be 0, 90, 180 or 270, not $rotation" }
    }

    /** Index of column x of the upright image within a line of the source. */
    fun column(x: Int): Int = if (columnsReversed) width - 1 - x else x

    /** Read pixels of row y of the upright image; `columns` are indices returned by [column]. */
    fun row(y: Int, columns: IntArray, count: Int, rgb: IntArray) {
        source.line(if (rowsReversed) height - 1 - y else y, transposed, columns, count, rgb)
    }

    private companion object {
        val RIGHT_ANGLES = setOf(0, 90, 180, 270)
    }
}
