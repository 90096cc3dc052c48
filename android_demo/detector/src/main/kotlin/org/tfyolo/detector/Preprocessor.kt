package org.tfyolo.detector

import java.nio.ByteBuffer

/**
 * Converts images to the model's input: rotates them upright, letterboxes or crops them, and encodes their pixels.
 *
 * Pixels are bit-identical to those of OpenCV's `resize`, which training and Python use. Nothing is allocated while consecutive
 * images have the same size, so that the camera causes no garbage collection.
 *
 * @param input the model's input: RGB, row by row; overwritten from its start.
 * @param place computes where an image of a width and height lies in the input, whose width and height follow.
 */
internal class Preprocessor<P : Placement>(
    private val inputWidth: Int,
    private val inputHeight: Int,
    private val encoding: PixelEncoding,
    private val input: ByteBuffer,
    private val place: (Int, Int, Int, Int) -> P,
) {
    private var plan: Plan<P>? = null
    private val line = ByteArray(inputWidth * 3 * encoding.bytes)

    /** Preprocess one image. @return where it lies in the input. */
    fun run(source: Source, rotation: Int, mirror: Boolean): P {
        val plan = planFor(source, rotation, mirror)
        val target = plan.target
        for (y in 0 until target.height) {
            encoding.write(plan.rows.row(y), line)
            seek(input, ((target.top + y) * inputWidth + target.left) * 3 * encoding.bytes)
            input.put(line, 0, target.width * 3 * encoding.bytes)
        }
        rewind(input)
        return plan.placement
    }

    private fun planFor(source: Source, rotation: Int, mirror: Boolean): Plan<P> {
        plan?.takeIf { it.fits(source, rotation, mirror) }?.let { return it.apply { rows.invalidate() } }
        val upright = Upright(source, rotation, mirror)
        val placement = place(upright.width, upright.height, inputWidth, inputHeight)
        pad()
        return Plan(source, source.width, source.height, rotation, mirror, placement, placement.rows(upright)).also { plan = it }
    }

    private fun pad() {
        encoding.write(IntArray(inputWidth * 3) { PAD_VALUE }, line)
        rewind(input)
        for (y in 0 until inputHeight) input.put(line)
    }
}

/** Placement and interpolation tables for one image size and orientation. */
private class Plan<P : Placement>(
    private val source: Source,
    private val sourceWidth: Int,
    private val sourceHeight: Int,
    private val rotation: Int,
    private val mirror: Boolean,
    val placement: P,
    val rows: ResizedRows,
) {
    val target: Region = placement.target

    fun fits(source: Source, rotation: Int, mirror: Boolean): Boolean =
        source === this.source && source.width == sourceWidth && source.height == sourceHeight &&
            rotation == this.rotation && mirror == this.mirror
}
