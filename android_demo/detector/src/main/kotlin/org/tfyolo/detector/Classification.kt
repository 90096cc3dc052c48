package org.tfyolo.detector

/**
 * A class and its probability.
 *
 * @property classId index into [ModelDescription.classNames].
 * @property label name of the class.
 * @property probability 0 to 1; those of all classes add up to 1.
 */
public data class ClassProbability(val classId: Int, val label: String, val probability: Float)

/**
 * Class probabilities of one image.
 *
 * @property region the part of the image that the model sees, its center crop, in pixels of the upright source image.
 */
public class Classification internal constructor(
    private val probabilities: FloatArray,
    private val classNames: List<String>,
    public val region: Box,
    override val sourceWidth: Int,
    override val sourceHeight: Int,
    override val timings: Timings,
) : ImageResult {
    /** Return the most probable classes by descending probability; equal ones in the order of the classes. */
    public fun top(count: Int = 5): List<ClassProbability> =
        probabilities.indices.sortedByDescending { probabilities[it] }.take(count).map(::get)

    /** Return the probability of a class. */
    public operator fun get(classId: Int): ClassProbability = ClassProbability(classId, classNames[classId], probabilities[classId])

    override fun toString(): String = top(3).joinToString { "${it.label} ${it.probability}" }
}
