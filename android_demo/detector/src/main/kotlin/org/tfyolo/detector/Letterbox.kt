package org.tfyolo.detector

import kotlin.math.floor
import kotlin.math.round

/** Gray that YOLOv5 trains with. */
internal const val PAD_VALUE: Int = 114

/**
 * Where an image lies in the network's input, its proportions kept: a point (x, y) of the image is at
 * `ratio * (x, y) + pad` of the input.
 *
 * @property padX half of the padding; a half pixel where the padding is odd. [left] is the whole pixel that is used.
 */
internal data class Letterbox(val sourceWidth: Int, val sourceHeight: Int, val inputWidth: Int, val inputHeight: Int) {
    // In double, as in Python: a side of 2.5 pixels must become the same there and here.
    private val exactRatio = minOf(inputHeight.toDouble() / sourceHeight, inputWidth.toDouble() / sourceWidth)
    val ratio: Float = exactRatio.toFloat()
    val width: Int = maxOf(round(sourceWidth * exactRatio).toInt(), 1)
    val height: Int = maxOf(round(sourceHeight * exactRatio).toInt(), 1)
    val padX: Float = (inputWidth - width) / 2f
    val padY: Float = (inputHeight - height) / 2f
    val left: Int = floor(padX).toInt()
    val top: Int = floor(padY).toInt()

    init {
        require(sourceWidth > 0 && sourceHeight > 0) { "the image is $sourceWidth x $sourceHeight" }
    }

    /** From pixels of the input to pixels of the image, cut off at its edges. */
    fun toSource(left: Float, top: Float, right: Float, bottom: Float): Box =
        Box(toSourceX(left), toSourceY(top), toSourceX(right), toSourceY(bottom))

    private fun toSourceX(x: Float) = ((x - padX) / ratio).coerceIn(0f, sourceWidth.toFloat())

    private fun toSourceY(y: Float) = ((y - padY) / ratio).coerceIn(0f, sourceHeight.toFloat())
}
