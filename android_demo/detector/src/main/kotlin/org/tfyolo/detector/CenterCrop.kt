package org.tfyolo.detector

import kotlin.math.round

/**
 * Geometry of a center crop, the input of classifiers: the largest centered part of the image that has the aspect ratio of the
 * input, resized to it. The same pixels as tfyolo/data/images/center_crop.py.
 *
 * @property part the part of the upright image that the model sees, in pixels of the image.
 */
internal data class CenterCrop(
    override val sourceWidth: Int,
    override val sourceHeight: Int,
    val inputWidth: Int,
    val inputHeight: Int,
) : Placement {
    // In double precision as in Python, so that sides of n + 0.5 pixels round in the same way.
    private val scale = minOf(sourceHeight.toDouble() / inputHeight, sourceWidth.toDouble() / inputWidth)

    val part: Region = run {
        require(sourceWidth > 0 && sourceHeight > 0) { "the image is empty: $sourceWidth x $sourceHeight" }
        val width = maxOf(round(inputWidth * scale).toInt(), 1)
        val height = maxOf(round(inputHeight * scale).toInt(), 1)
        Region((sourceWidth - width) / 2, (sourceHeight - height) / 2, width, height)
    }

    override val target: Region get() = Region(0, 0, inputWidth, inputHeight)

    override fun rows(upright: Upright): ResizedRows =
        if (scale > 1) AreaRows(upright, part, inputWidth, inputHeight) else LinearRows(upright, part, inputWidth, inputHeight)
}
