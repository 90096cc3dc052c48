package org.tfyolo.detector

import kotlin.math.exp
import org.tfyolo.detector.ModelException.Problem

/**
 * Decodes the outputs of one kind of exported graph: with NMS, `--nms none`, or `--nms raw`.
 *
 * To support another kind, add an entry to [KINDS].
 */
internal interface OutputReader {
    /** Detections of the most recent image; boxes in pixels of the input. */
    fun read(thresholds: Thresholds): DetectionArrays

    /** Mask of detection i of the most recent image; null if the model has none. */
    fun mask(detections: DetectionArrays, i: Int, box: Letterbox): Mask? = null
}

/**
 * An entry of [KINDS].
 *
 * @property nms where NMS runs.
 * @property identifiedBy name of the output that identifies this kind.
 * @property masks name of the output that only models with masks have.
 * @property reader makes the reader for a model of this kind.
 */
internal class OutputKind(
    val nms: String,
    val identifiedBy: String,
    val masks: String,
    val reader: (Map<String, Output>, DetectorDescription) -> OutputReader,
)

internal val KINDS: List<OutputKind> = listOf(
    OutputKind("in the graph", "num_detections", MASKS, ::DetectionsReader),
    OutputKind("none", "scores", COEFFICIENTS, ::CandidatesReader),
    OutputKind("raw", "objectness_0", "${COEFFICIENTS}_0", ::RawHeadsReader),
)

/** The kind of a graph with these outputs. @throws ModelException if they are not the outputs of a detector. */
internal fun kindOf(names: Collection<String>): OutputKind =
    KINDS.firstOrNull { it.identifiedBy in names } ?: throw ModelException(
        Problem.DOES_NOT_FIT,
        "This model's outputs are ${names.sorted().joinToString().ifEmpty { "not named" }}; a detector has one of " +
            KINDS.joinToString { "`${it.identifiedBy}`" } + ". Export it with `tfyolo export --include tflite`.",
    )

/** NMS of the candidates that are valid boxes. */
private fun suppress(candidates: Candidates, thresholds: Thresholds, model: DetectorDescription): DetectionArrays {
    val valid = candidates.validRows(model)
    return nonMaxSuppression(candidates.pick(valid), thresholds).from(valid)
}

/** NMS in the graph: boxes, class IDs, scores, perhaps masks, and the number of detections, sorted by descending score. */
private class DetectionsReader(outputs: Map<String, Output>, private val model: DetectorDescription) : OutputReader {
    private val count = outputs.take("num_detections", emptyList()).values
    private val scores = outputs.take("detection_scores", listOf(ANY)).values
    private val boxes = outputs.take("detection_boxes", listOf(scores.size, 4)).values
    private val classIds = outputs.take("detection_classes", listOf(scores.size)).values
    private val masks = if (model.hasMasks) MaskReader(CroppedMasks(outputs, scores.size), model) else null

    override fun read(thresholds: Thresholds): DetectionArrays {
        val size = count[0].toInt().coerceIn(0, scores.size)
        val detections = DetectionArrays(toPixels(boxes, size, model), scores.copyOf(size), IntArray(size) { classIds[it].toInt() })
        val valid = detections.validRows(classIds, model)
        return refine(detections.pick(valid), thresholds).from(valid)
    }

    override fun mask(detections: DetectionArrays, i: Int, box: Letterbox): Mask? = masks?.read(detections, i, box)
}

/** No NMS (`--nms none`): all boxes, with one score per class, perhaps mask coefficients. */
private class CandidatesReader(outputs: Map<String, Output>, private val model: DetectorDescription) : OutputReader {
    private val boxes = outputs.take("boxes", listOf(ANY, 4)).values
    private val scores = outputs.take("scores", listOf(boxes.size / 4, model.classNames.size)).values
    private val masks = if (model.hasMasks) MaskReader(masksOf(outputs), model) else null

    private fun masksOf(outputs: Map<String, Output>): PrototypeMasks {
        val coefficients = outputs.take(COEFFICIENTS, listOf(boxes.size / 4, ANY))
        return PrototypeMasks(outputs, coefficients.shape[2]) { row, to -> coefficients.read(row * to.size, to.size, to, 0) }
    }

    override fun read(thresholds: Thresholds): DetectionArrays {
        // Filtered first: only a few of thousands of boxes exceed the confidence threshold.
        val numClasses = model.classNames.size
        val rows = (0 until boxes.size / 4).filter { row ->
            (row * numClasses until (row + 1) * numClasses).any { scores[it] > thresholds.confidence }
        }
        val candidates = Candidates(toPixels(boxes.pick(rows, 4), rows.size, model), scores.pick(rows, numClasses), numClasses)
        return suppress(candidates, thresholds, model).from(rows)
    }

    override fun mask(detections: DetectionArrays, i: Int, box: Letterbox): Mask? = masks?.read(detections, i, box)
}

/** Raw heads (`--nms raw`): logits, perhaps mask coefficients. */
private class RawHeadsReader(outputs: Map<String, Output>, private val model: DetectorDescription) : OutputReader {
    private val numCoefficients = if (model.hasMasks) outputs.take(PROTOTYPES, listOf(ANY, ANY, ANY)).shape[3] else 0
    private val heads = model.strides.mapIndexed { scale, stride ->
        val anchors = model.anchorsPx[scale]
        val count = anchors.size / 2
        val height = (model.inputHeight + stride - 1) / stride
        val width = (model.inputWidth + stride - 1) / stride
        fun part(name: String, values: Int) =
            outputs.take("${name}_$scale", listOf(height, width, count * values)).values
        val coefficients = if (model.hasMasks) part(COEFFICIENTS, numCoefficients) else FloatArray(0)
        RawHead(part("box", 4), part("objectness", 1), part("classes", model.classNames.size), anchors, stride, width, coefficients)
    }

    /** Coefficients of the most recent candidates. */
    private var coefficients = FloatArray(0)
    private val masks = if (model.hasMasks) MaskReader(masksOf(outputs), model) else null

    private fun masksOf(outputs: Map<String, Output>) = PrototypeMasks(outputs, numCoefficients) { row, to ->
        coefficients.copyInto(to, 0, row * to.size, (row + 1) * to.size)
    }

    override fun read(thresholds: Thresholds): DetectionArrays {
        val candidates = decode(heads, model.classNames.size, thresholds.confidence)
        coefficients = candidates.coefficients
        return suppress(candidates, thresholds, model)
    }

    override fun mask(detections: DetectionArrays, i: Int, box: Letterbox): Mask? = masks?.read(detections, i, box)
}

/**
 * Logits of one scale, each (height, width, anchors, values) row by row; `width` is that of the feature map in grid cells.
 *
 * @property coefficients mask coefficients; empty without masks.
 */
internal class RawHead(
    val box: FloatArray,
    val objectness: FloatArray,
    val classes: FloatArray,
    val anchorsPx: List<Float>,
    val stride: Int,
    val width: Int,
    val coefficients: FloatArray = FloatArray(0),
)

/**
 * Decode raw heads: `xy = (2 sigmoid(t) - 0.5 + cell) * stride`, `wh = (2 sigmoid(t))^2 * anchor`.
 *
 * Source: the YOLOv5 detection head, since release v2.0.
 *
 * @param confidence grid cells with a lower objectness are skipped, since no class score can exceed it.
 * @return boxes in pixels of the input, and mask coefficients weighted by objectness.
 */
internal fun decode(heads: List<RawHead>, numClasses: Int, confidence: Float): Candidates {
    val boxes = ArrayList<Float>()
    val scores = ArrayList<Float>()
    val coefficients = ArrayList<Float>()
    for (head in heads) {
        val numAnchors = head.anchorsPx.size / 2
        val perBox = head.coefficients.size / head.objectness.size
        for (i in head.objectness.indices) {
            val objectness = sigmoid(head.objectness[i])
            if (objectness <= confidence) continue
            val cell = i / numAnchors
            val anchor = 2 * (i % numAnchors)
            fun value(k: Int) = 2 * sigmoid(head.box[4 * i + k])
            val x = (value(0) - 0.5f + cell % head.width) * head.stride
            val y = (value(1) - 0.5f + cell / head.width) * head.stride
            val halfWidth = value(2) * value(2) * head.anchorsPx[anchor] / 2
            val halfHeight = value(3) * value(3) * head.anchorsPx[anchor + 1] / 2
            boxes += listOf(x - halfWidth, y - halfHeight, x + halfWidth, y + halfHeight)
            for (c in 0 until numClasses) scores += objectness * sigmoid(head.classes[i * numClasses + c])
            // YOLOv5 weights them by objectness, which softens the borders of uncertain masks.
            for (k in i * perBox until (i + 1) * perBox) coefficients += objectness * head.coefficients[k]
        }
    }
    return Candidates(boxes.toFloatArray(), scores.toFloatArray(), numClasses, coefficients.toFloatArray())
}

internal fun sigmoid(x: Float): Float = 1 / (1 + exp(-x))

/** Convert `size` boxes from (ymin, xmin, ymax, xmax) in 0..1 to (left, top, right, bottom) in pixels. */
private fun toPixels(boxes: FloatArray, size: Int, model: DetectorDescription): FloatArray {
    val out = FloatArray(4 * size)
    for (i in 0 until 4 * size step 4) {
        out[i] = boxes[i + 1] * model.inputWidth
        out[i + 1] = boxes[i] * model.inputHeight
        out[i + 2] = boxes[i + 3] * model.inputWidth
        out[i + 3] = boxes[i + 2] * model.inputHeight
    }
    return out
}

internal const val ANY: Int = -1

/** The output `name`, whose shape must be (1, *shape); [ANY] matches any size. @throws ModelException if it does not match. */
internal fun Map<String, Output>.take(name: String, shape: List<Int>): Output {
    val output = this[name]
    val matches = output != null && output.shape.size == shape.size + 1 && output.shape[0] == 1 &&
        shape.indices.all { shape[it] == ANY || shape[it] == output.shape[it + 1] }
    if (matches) return output!!
    val expected = (listOf("1") + shape.map { if (it == ANY) "n" else "$it" }).joinToString(" x ")
    val actual = output?.shape?.joinToString(" x ") ?: "missing"
    throw ModelException(
        Problem.DOES_NOT_FIT,
        "The model's output `$name` must be $expected according to its metadata, but is $actual. Export the model again.",
    )
}
