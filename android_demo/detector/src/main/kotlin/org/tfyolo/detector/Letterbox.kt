package org.tfyolo.detector

import kotlin.math.floor
import kotlin.math.round

/** Gray value of the padding that YOLOv5 is trained with. */
internal const val PAD_VALUE: Int = 114

/**
 * Geometry of a letterboxed image, which keeps its aspect ratio: a point (x, y) of the image is at `ratio * (x, y) + (padX, padY)`
 * in the input.
 *
 * @property padX padding on the left in pixels; ends in .5 if the total padding is odd.
 * @property padY padding at the top in pixels.
 * @property left x of the image in the input in whole pixels; odd padding puts the extra pixel at the right.
 * @property top y of the image in the input in whole pixels.
 */
internal data class Letterbox(
    override val sourceWidth: Int,
    override val sourceHeight: Int,
    val inputWidth: Int,
    val inputHeight: Int,
) : Placement {
    // In double precision as in Python, so that sides of n + 0.5 pixels round in the same way.
    val doubleRatio: Double = minOf(inputHeight.toDouble() / sourceHeight, inputWidth.toDouble() / sourceWidth)
    val ratio: Float = doubleRatio.toFloat()
    val width: Int = maxOf(round(sourceWidth * doubleRatio).toInt(), 1)
    val height: Int = maxOf(round(sourceHeight * doubleRatio).toInt(), 1)
    val padX: Float = (inputWidth - width) / 2f
    val padY: Float = (inputHeight - height) / 2f
    val left: Int = floor(padX).toInt()
    val top: Int = floor(padY).toInt()

    init {
        require(sourceWidth > 0 && sourceHeight > 0) { "the image is empty: $sourceWidth x $sourceHeight" }
    }

    override val target: Region get() = Region(left, top, width, height)

    override fun rows(upright: Upright): ResizedRows = LinearRows(upright, Region(0, 0, sourceWidth, sourceHeight), width, height)

    /** Convert a box from pixels of the input to pixels of the image, clipped to the image. */
    fun toSource(left: Float, top: Float, right: Float, bottom: Float): Box =
        Box(toSourceX(left), toSourceY(top), toSourceX(right), toSourceY(bottom))

    private fun toSourceX(x: Float) = ((x - padX) / ratio).coerceIn(0f, sourceWidth.toFloat())

    private fun toSourceY(y: Float) = ((y - padY) / ratio).coerceIn(0f, sourceHeight.toFloat())
}
