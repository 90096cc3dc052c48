package org.tfyolo.detector

import org.tfyolo.detector.ModelException.Problem

/** Output with the masks of a model that segments objects, if NMS is in its graph. */
internal const val MASKS: String = "detection_masks"

/** Output with the mask coefficients of each box, without NMS in the graph; raw heads have one per scale, `coefficients_0` and so on. */
internal const val COEFFICIENTS: String = "coefficients"

internal const val PROTOTYPES: String = "prototypes"

/** Reads the probabilities of a part of a mask, row by row; zero outside of its box. */
internal interface MaskCells {
    /** Height and width of a whole mask. */
    val height: Int
    val width: Int

    /** Read the cells of one detection, given its row in the model's outputs. */
    fun read(row: Int, rows: MaskAxis, columns: MaskAxis): FloatArray
}

/** Masks of the output `detection_masks`, (1, detections, height, width), which are zero outside of the boxes. */
internal class CroppedMasks(outputs: Map<String, Output>, detections: Int) : MaskCells {
    private val output = outputs.take(MASKS, listOf(detections, ANY, ANY))
    override val height: Int = output.shape[2]
    override val width: Int = output.shape[3]

    override fun read(row: Int, rows: MaskAxis, columns: MaskAxis): FloatArray {
        val cells = FloatArray(rows.size * columns.size)
        for (y in 0 until rows.size) {
            output.read((row * height + rows.start + y) * width + columns.start, columns.size, cells, y * columns.size)
        }
        return cells
    }
}

/**
 * Masks of prototypes, (1, height, width, k), weighted by the k coefficients of a box.
 *
 * Source: Bolya et al. 2019, YOLACT, section 3.2.
 *
 * @param count the number k of prototypes.
 * @param readCoefficients writes the coefficients of the box in a given row into an array.
 */
internal class PrototypeMasks(
    outputs: Map<String, Output>,
    private val count: Int,
    private val readCoefficients: (row: Int, to: FloatArray) -> Unit,
) : MaskCells {
    private val prototypes = outputs.take(PROTOTYPES, listOf(ANY, ANY, count))
    override val height: Int = prototypes.shape[1]
    override val width: Int = prototypes.shape[2]
    private val weights = FloatArray(count)
    private val line = FloatArray(width * count)

    override fun read(row: Int, rows: MaskAxis, columns: MaskAxis): FloatArray {
        readCoefficients(row, weights)
        val cells = FloatArray(rows.size * columns.size)
        for (y in rows.begin until rows.end) {
            prototypes.read((y * width + columns.begin) * count, (columns.end - columns.begin) * count, line, 0)
            val at = (y - rows.start) * columns.size + columns.begin - columns.start
            for (x in 0 until columns.end - columns.begin) {
                var logit = 0f
                for (k in 0 until count) logit += line[x * count + k] * weights[k]
                cells[at + x] = sigmoid(logit)
            }
        }
        return cells
    }
}

/**
 * Reads the masks of detections.
 *
 * @throws ModelException if the size of the masks does not divide the size of the input.
 */
internal class MaskReader(private val cells: MaskCells, model: DetectorDescription) {
    private val scale = model.inputHeight / maxOf(cells.height, 1)

    init {
        if (cells.height < 1 || cells.height * scale != model.inputHeight || cells.width * scale != model.inputWidth) {
            throw ModelException(
                Problem.DOES_NOT_FIT,
                "The model's masks are ${cells.height} x ${cells.width}, which does not divide its input of " +
                    "${model.inputHeight} x ${model.inputWidth}. Export the model again.",
            )
        }
    }

    /** Read the mask of detection i. */
    fun read(detections: DetectionArrays, i: Int, box: Letterbox): Mask {
        fun edge(k: Int) = detections.boxesXyxyPx[4 * i + k] / scale
        val columns = MaskAxis(edge(0), edge(2), cells.width, scale, box.doubleRatio, box.padX.toDouble(), box.sourceWidth)
        val rows = MaskAxis(edge(1), edge(3), cells.height, scale, box.doubleRatio, box.padY.toDouble(), box.sourceHeight)
        return Mask(cells.read(detections.rows[i], rows, columns), rows, columns)
    }
}
