package org.tfyolo.detector

import kotlin.math.exp
import org.tfyolo.detector.ModelException.Problem

/** Conversion to probabilities by name of the output: `logits` is that of `--nms raw`. */
private val CONVERSIONS: Map<String, (FloatArray) -> FloatArray> = mapOf(
    "probabilities" to { values -> values.copyOf() },
    "logits" to ::softmax,
)

/** The output of a classifier among the names of outputs. @throws ModelException if there is none. */
internal fun classOutputOf(names: Collection<String>): String =
    CONVERSIONS.keys.firstOrNull { it in names } ?: throw ModelException(
        Problem.DOES_NOT_FIT,
        "This model's outputs are ${names.sorted().joinToString().ifEmpty { "not named" }}; a classifier has one of " +
            CONVERSIONS.keys.joinToString { "`$it`" } + ". Export it with `tfyolo export --include tflite`.",
    )

/** Reads class probabilities from the outputs of a classifier. */
internal class ClassReader(outputs: Map<String, Output>, description: ClassifierDescription) {
    private val output = outputs.take(classOutputOf(outputs.keys), listOf(description.classNames.size))
    private val convert = CONVERSIONS.getValue(output.name)

    /** Probabilities of the most recent image. @throws IllegalStateException if they are not finite numbers. */
    fun read(): FloatArray = convert(output.values).also { values ->
        check(values.all(Float::isFinite)) { "the model's probabilities are not finite numbers" }
    }
}

/** Softmax; the largest logit is subtracted first, so that no exponential overflows. */
internal fun softmax(logits: FloatArray): FloatArray {
    val largest = logits.max()
    val exponentials = FloatArray(logits.size) { exp(logits[it] - largest) }
    val sum = exponentials.sum()
    return FloatArray(logits.size) { exponentials[it] / sum }
}
