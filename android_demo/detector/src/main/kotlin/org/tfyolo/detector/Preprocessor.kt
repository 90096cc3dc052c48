package org.tfyolo.detector

import java.nio.ByteBuffer
import kotlin.math.floor
import kotlin.math.round

/**
 * Converts images to the model's input: rotates them upright, letterboxes them and encodes their pixels.
 *
 * Pixels are bit-identical to those of OpenCV's bilinear `resize`, which training and Python use. Nothing is allocated while
 * consecutive images have the same size, so that the camera causes no garbage collection.
 *
 * @param input the model's input: RGB, row by row; overwritten from its start.
 */
internal class Preprocessor(
    private val inputWidth: Int,
    private val inputHeight: Int,
    private val encoding: PixelEncoding,
    private val input: ByteBuffer,
) {
    private var plan: ResizePlan? = null
    private val line = ByteArray(inputWidth * 3 * encoding.bytes)

    /** Preprocess one image. @return the geometry that converts boxes back to the image. */
    fun run(source: Source, rotation: Int, mirror: Boolean): Letterbox {
        val plan = planFor(source, rotation, mirror)
        val box = plan.box
        for (y in 0 until box.height) {
            encoding.write(plan.row(y), line)
            seek(input, ((box.top + y) * inputWidth + box.left) * 3 * encoding.bytes)
            input.put(line, 0, box.width * 3 * encoding.bytes)
        }
        rewind(input)
        return box
    }

    private fun planFor(source: Source, rotation: Int, mirror: Boolean): ResizePlan {
        plan?.takeIf { it.fits(source, rotation, mirror) }?.let { return it.apply { invalidateRows() } }
        val upright = Upright(source, rotation, mirror)
        val box = Letterbox(upright.width, upright.height, inputWidth, inputHeight)
        pad()
        return ResizePlan(source, source.width, source.height, rotation, mirror, upright, box).also { plan = it }
    }

    private fun pad() {
        encoding.write(IntArray(inputWidth * 3) { PAD_VALUE }, line)
        rewind(input)
        for (y in 0 until inputHeight) input.put(line)
    }
}

/** Interpolation tables for one image size and orientation, and the buffers for resized rows. */
private class ResizePlan(
    private val source: Source,
    private val sourceWidth: Int,
    private val sourceHeight: Int,
    private val rotation: Int,
    private val mirror: Boolean,
    private val upright: Upright,
    val box: Letterbox,
) {
    private val rowTaps = Taps(upright.height, box.height, clampWeights = false)
    private val columnTaps = Taps(upright.width, box.width, clampWeights = true)
    private val columns = IntArray(2 * box.width)
    private val rgb = IntArray(2 * box.width)
    private var above = IntArray(3 * box.width)
    private var below = IntArray(3 * box.width)
    private val blended = IntArray(3 * box.width)
    private var aboveRow = NO_ROW
    private var belowRow = NO_ROW

    init {
        for (x in 0 until box.width) {
            columns[2 * x] = upright.column(columnTaps.first[x])
            columns[2 * x + 1] = upright.column(columnTaps.second[x])
        }
    }

    fun fits(source: Source, rotation: Int, mirror: Boolean): Boolean =
        source === this.source && source.width == sourceWidth && source.height == sourceHeight &&
            rotation == this.rotation && mirror == this.mirror

    /** Discard the cached rows, which belong to the previous image. */
    fun invalidateRows() {
        aboveRow = NO_ROW
        belowRow = NO_ROW
    }

    /** Row y of the resized image as R, G, B, R, G, B, ...; the array is reused for the next row. */
    fun row(y: Int): IntArray {
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
        upright.row(y, columns, columns.size, rgb)
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
