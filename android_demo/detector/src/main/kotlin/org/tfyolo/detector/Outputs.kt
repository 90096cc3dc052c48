package org.tfyolo.detector

import kotlin.math.exp
import org.tfyolo.detector.ModelException.Problem

/**
 * What a network gives, by the names of its signature.
 *
 * @property shape with the batch of one.
 * @property values row by row, filled anew by every run.
 */
internal class Output(val name: String, val shape: List<Int>, val values: FloatArray)

/**
 * One way in which exported networks give what they see: `--nms none`, with suppression, or `--nms raw`.
 *
 * A kind is one entry of [KINDS]: the output by which it is known, and how it is read.
 */
internal interface OutputReader {
    /** Detections of one image, boxes in pixels of the input. */
    fun read(thresholds: Thresholds): Found
}

internal class OutputKind(
    val suppression: String,
    val knownBy: String,
    val reader: (Map<String, Output>, ModelDescription) -> OutputReader,
)

internal val KINDS: List<OutputKind> = listOf(
    OutputKind("in the file", "num_detections", ::SuppressedReader),
    OutputKind("none", "scores", ::CandidatesReader),
    OutputKind("raw", "objectness_0", ::RawHeadsReader),
)

/** @throws ModelException the names are those of no detector. */
internal fun kindOf(names: Collection<String>): OutputKind =
    KINDS.firstOrNull { it.knownBy in names } ?: throw ModelException(
        Problem.DOES_NOT_FIT,
        "This model's outputs are ${names.sorted().joinToString().ifEmpty { "not named" }}; a detector has " +
            KINDS.joinToString(" or ") { "`${it.knownBy}`" } + " among them. Write it with `tfyolo export --include tflite`.",
    )

/** Suppressed in the graph: boxes, classes and scores, best first, and how many of them count. */
private class SuppressedReader(outputs: Map<String, Output>, private val model: ModelDescription) : OutputReader {
    private val count = outputs.take("num_detections", emptyList()).values
    private val scores = outputs.take("detection_scores", listOf(ANY)).values
    private val boxes = outputs.take("detection_boxes", listOf(scores.size, 4)).values
    private val classes = outputs.take("detection_classes", listOf(scores.size)).values

    override fun read(thresholds: Thresholds): Found {
        val size = count[0].toInt().coerceIn(0, scores.size)
        val found = Found(toPixels(boxes, size, model), scores.copyOf(size), IntArray(size) { classes[it].toInt() })
        return refine(found, thresholds)
    }
}

/** All boxes, and per box a score for every class. */
private class CandidatesReader(outputs: Map<String, Output>, private val model: ModelDescription) : OutputReader {
    private val boxes = outputs.take("boxes", listOf(ANY, 4)).values
    private val scores = outputs.take("scores", listOf(boxes.size / 4, model.labels.size)).values

    override fun read(thresholds: Thresholds): Found {
        // Few of thousands are above the threshold, and only those cost anything.
        val classes = model.labels.size
        val rows = (0 until boxes.size / 4).filter { row ->
            (row * classes until (row + 1) * classes).any { scores[it] > thresholds.score }
        }
        val picked = FloatArray(4 * rows.size) { boxes[4 * rows[it / 4] + it % 4] }
        val candidates = Candidates(
            toPixels(picked, rows.size, model),
            FloatArray(classes * rows.size) { scores[classes * rows[it / classes] + it % classes] },
            classes,
        )
        return nonMaxSuppression(candidates, thresholds)
    }
}

/** The heads' logits. */
private class RawHeadsReader(outputs: Map<String, Output>, private val model: ModelDescription) : OutputReader {
    private val heads = model.strides.mapIndexed { scale, stride ->
        val anchors = model.anchorsPx[scale]
        val count = anchors.size / 2
        val height = (model.inputHeight + stride - 1) / stride
        val width = (model.inputWidth + stride - 1) / stride
        fun part(name: String, values: Int) =
            outputs.take("${name}_$scale", listOf(height, width, count * values)).values
        RawHead(part("box", 4), part("objectness", 1), part("classes", model.labels.size), anchors, stride, width)
    }

    override fun read(thresholds: Thresholds): Found =
        nonMaxSuppression(decode(heads, model.labels.size, thresholds.score), thresholds)
}

/** Logits of one scale, (height, width, anchors, values) row by row. */
internal class RawHead(
    val box: FloatArray,
    val objectness: FloatArray,
    val classes: FloatArray,
    val anchorsPx: List<Float>,
    val stride: Int,
    val width: Int,
)

/**
 * `xy = (2 sigmoid(t) - 0.5 + cell) * stride`, `wh = (2 sigmoid(t))^2 * anchor` (YOLOv5 v2.0 and later).
 *
 * @param score cells whose objectness is not above it are left out: no class can bring them over it.
 */
internal fun decode(heads: List<RawHead>, classes: Int, score: Float): Candidates {
    val boxes = ArrayList<Float>()
    val scores = ArrayList<Float>()
    for (head in heads) {
        val anchors = head.anchorsPx.size / 2
        for (i in head.objectness.indices) {
            val there = sigmoid(head.objectness[i])
            if (there <= score) continue
            val cell = i / anchors
            val anchor = 2 * (i % anchors)
            fun value(k: Int) = 2 * sigmoid(head.box[4 * i + k])
            val x = (value(0) - 0.5f + cell % head.width) * head.stride
            val y = (value(1) - 0.5f + cell / head.width) * head.stride
            val halfWidth = value(2) * value(2) * head.anchorsPx[anchor] / 2
            val halfHeight = value(3) * value(3) * head.anchorsPx[anchor + 1] / 2
            boxes += listOf(x - halfWidth, y - halfHeight, x + halfWidth, y + halfHeight)
            for (c in 0 until classes) scores += there * sigmoid(head.classes[i * classes + c])
        }
    }
    return Candidates(boxes.toFloatArray(), scores.toFloatArray(), classes)
}

private fun sigmoid(x: Float): Float = 1 / (1 + exp(-x))

/** ymin, xmin, ymax, xmax in 0..1 as left, top, right, bottom in pixels. */
private fun toPixels(boxes: FloatArray, size: Int, model: ModelDescription): FloatArray {
    val out = FloatArray(4 * size)
    for (i in 0 until 4 * size step 4) {
        out[i] = boxes[i + 1] * model.inputWidth
        out[i + 1] = boxes[i] * model.inputHeight
        out[i + 2] = boxes[i + 3] * model.inputWidth
        out[i + 3] = boxes[i + 2] * model.inputHeight
    }
    return out
}

private const val ANY = -1

private fun Map<String, Output>.take(name: String, shape: List<Int>): Output {
    val output = this[name]
    val fits = output != null && output.shape.size == shape.size + 1 && output.shape[0] == 1 &&
        shape.indices.all { shape[it] == ANY || shape[it] == output.shape[it + 1] }
    if (fits) return output!!
    val expected = (listOf("1") + shape.map { if (it == ANY) "n" else "$it" }).joinToString(" x ")
    val found = output?.shape?.joinToString(" x ") ?: "missing"
    throw ModelException(
        Problem.DOES_NOT_FIT,
        "The model's output `$name` should be $expected, after what the file says of itself, and is $found. Export it again.",
    )
}
