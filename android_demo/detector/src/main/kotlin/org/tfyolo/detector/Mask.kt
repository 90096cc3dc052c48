package org.tfyolo.detector

import kotlin.math.ceil
import kotlin.math.floor

/**
 * Instance mask of a detection: the pixels of the image that belong to the object. Outside of its rectangle there are none.
 *
 * It holds the values of the model, a fraction of the pixels of the image; [MaskRenderer] computes the pixels.
 *
 * @property left x of the rectangle in pixels of the upright source image.
 * @property top y of the rectangle.
 * @property width of the rectangle in pixels.
 * @property height of the rectangle in pixels.
 */
public class Mask internal constructor(internal val cells: FloatArray, internal val rows: MaskAxis, internal val columns: MaskAxis) {
    public val left: Int get() = columns.first
    public val top: Int get() = rows.first
    public val width: Int get() = columns.length
    public val height: Int get() = rows.length

    /** Return the pixels of the rectangle, row by row; true if they belong to the object. */
    public fun toBooleanArray(): BooleanArray = BooleanArray(width * height).also { MaskRenderer().fill(this, it) }
}

/**
 * One axis of a mask: the cells of the model's output around a box, and the pixels of the image that they reach.
 *
 * The same rounding as in tfyolo/inference/segmentation/masks.py.
 *
 * @param low lower edge of the box in cells.
 * @param high upper edge of the box in cells.
 * @param cells length of the output along this axis.
 * @property scale pixels of the input per cell.
 * @property ratio pixels of the input per pixel of the image.
 * @property pad padding of the letterbox in pixels of the input.
 * @param imageLength length of the image in pixels.
 */
internal class MaskAxis(low: Float, high: Float, cells: Int, val scale: Int, val ratio: Double, val pad: Double, imageLength: Int) {
    /** The first cell inside of the box. */
    val begin: Int

    /** The cell behind the last one inside of the box. */
    val end: Int

    /** The first cell of the cut. Interpolation reaches one cell beyond the box on each side. */
    val start: Int

    /** Number of cells of the cut. */
    val size: Int

    /** The first pixel of the image. */
    val first: Int

    /** Number of pixels of the image. */
    val length: Int

    init {
        begin = ceil(low).toInt().coerceIn(0, cells)
        end = maxOf(begin, ceil(high).toInt().coerceIn(0, cells))
        start = maxOf(begin - 1, 0)
        size = minOf(end + 1, cells) - start
        fun edge(cell: Int) = (cell * scale - pad) / ratio
        first = floor(edge(start)).toInt().coerceIn(0, imageLength)
        length = ceil(edge(start + size)).toInt().coerceIn(first, imageLength) - first
    }

    /** Position of pixel i of the image in pixels of the enlarged cells, between pixel centers. */
    fun position(i: Int): Double = (first + i + 0.5) * ratio + pad - 0.5 - start * scale

    /** Position of pixel i of the enlarged cells in cells, between cell centers. */
    fun cellPosition(i: Int): Double = (i + 0.5) / scale - 0.5
}
