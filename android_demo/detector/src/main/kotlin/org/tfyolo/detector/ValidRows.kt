package org.tfyolo.detector

import kotlin.math.floor

/** Maximum coordinate of a valid box, in sizes of the input; decoded boxes have at most four anchor sizes. */
private const val FAR = 1e4f

/** Tolerance for scores outside of 0 to 1, which float16 graphs can give. */
private const val ROUNDING = 1e-3f

/**
 * The rows whose box and scores are valid, by the rules of export/runtime/outputs.py. Other boxes cannot be drawn, and their
 * IoU is meaningless.
 */
internal fun Candidates.validRows(model: DetectorDescription): List<Int> = (0 until boxesXyxyPx.size / 4).filter { row ->
    (row * numClasses until (row + 1) * numClasses).all { isScore(scores[it]) } && isBox(boxesXyxyPx, row, model)
}

/**
 * As [Candidates.validRows], for detections of a graph with NMS.
 *
 * @param classIds as the graph returns them: floats that should be whole numbers.
 */
internal fun DetectionArrays.validRows(classIds: FloatArray, model: DetectorDescription): List<Int> = (0 until size).filter { row ->
    val id = classIds[row]
    isScore(scores[row]) && id >= 0 && id < model.classNames.size && id == floor(id) && isBox(boxesXyxyPx, row, model)
}

/** True if the corners are finite, ordered, and not far outside of the image. Comparisons with NaN are false. */
private fun isBox(boxesXyxyPx: FloatArray, row: Int, model: DetectorDescription): Boolean {
    val (left, top, right, bottom) = FloatArray(4) { boxesXyxyPx[4 * row + it] }
    return left >= -FAR * model.inputWidth && left <= right && right <= FAR * model.inputWidth &&
        top >= -FAR * model.inputHeight && top <= bottom && bottom <= FAR * model.inputHeight
}

private fun isScore(score: Float) = score >= -ROUNDING && score <= 1 + ROUNDING

/** The given rows. Coefficients are left out: masks read them by their original row. */
internal fun Candidates.pick(rows: List<Int>): Candidates =
    if (rows.size == boxesXyxyPx.size / 4) this else Candidates(boxesXyxyPx.pick(rows, 4), scores.pick(rows, numClasses), numClasses)

/** The given rows, numbered from 0. */
internal fun DetectionArrays.pick(rows: List<Int>): DetectionArrays =
    if (rows.size == size) this else DetectionArrays(boxesXyxyPx.pick(rows, 4), scores.pick(rows, 1), IntArray(rows.size) { classIds[rows[it]] })

/** The same detections, selected from `rows` of larger arrays. */
internal fun DetectionArrays.from(rows: List<Int>): DetectionArrays =
    DetectionArrays(boxesXyxyPx, scores, classIds, IntArray(size) { rows[this.rows[it]] })

/** The given rows of an array with so many values per row. */
internal fun FloatArray.pick(rows: List<Int>, values: Int): FloatArray = FloatArray(values * rows.size) { this[values * rows[it / values] + it % values] }
