package org.tfyolo.detector

import java.io.File
import kotlin.math.abs
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertIs
import kotlin.test.assertTrue
import org.json.JSONObject
import org.tfyolo.detector.ModelException.Problem

/** TensorFlow Lite's Android library gives the same class probabilities as Python. */
class ClassifierTest {
    private val expected = JSONObject(File(demoModels, "classifiers.json").readText())
    private val image = PixelSource.of(File(demoModels, "odd.png"))
    private val singleThread = Options(threads = 1, delegate = Delegate.CPU)

    @Test
    fun `float, int8 and raw files give the same probabilities as Python`() {
        assertEquals(setOf("classifier", "classifier_int8", "classifier_raw"), expected.keys().asSequence().toSet())
        for (name in expected.keys()) {
            classifier(modelBytes("$name.tflite")).use { classifier ->
                val images = expected.getJSONObject(name)
                for (file in images.keys()) {
                    val found = classifier.classify(PixelSource.of(File(demoModels, file)), 0, false)
                    val wanted = images.getJSONObject(file)
                    assertEquals(wanted.keys().asSequence().toSet(), found.top().map { it.label }.toSet())
                    for ((_, label, probability) in found.top()) {
                        val difference = abs(wanted.getDouble(label) - probability)
                        assertTrue(difference < tolerance(name), "$name on $file: $found instead of $wanted")
                    }
                }
            }
        }
    }

    /** Kernels of integer models may round one step differently on another processor. */
    private fun tolerance(name: String) = if ("int8" in name) 1e-2 else 1e-4

    @Test
    fun `the description contains the metadata of the model`() {
        classifier(modelBytes("classifier_int8.tflite")).use { classifier ->
            val description = classifier.description
            assertEquals(listOf("ant", "bee", "cat"), description.classNames)
            assertEquals(96 to 64, description.inputWidth to description.inputHeight)
            assertEquals("int8", description.precision)
            assertEquals(Backend(Delegate.CPU, 1), classifier.backend)
        }
    }

    @Test
    fun `the region is the center of the image`() {
        classifier(modelBytes("classifier.tflite")).use { classifier ->
            val found = classifier.classify(image, 0, false)
            assertEquals(251 to 480, found.sourceWidth to found.sourceHeight)
            assertEquals(Box(0f, 156f, 251f, 323f), found.region)
            assertEquals(found.top(1).single(), found[found.top(1).single().classId])
            assertEquals(480 to 251, classifier.classify(image, 90, false).run { sourceWidth to sourceHeight })
        }
    }

    @Test
    fun `the class of a model depends on the task in its file`() {
        fun open(name: String) = ImageModel.open(testFile(modelBytes(name)), singleThread)
        open("classifier.tflite").use { assertIs<Classifier>(it) }
        open("int8-builtin.tflite").use { assertIs<Detector>(it) }
        // A detector whose metadata claims another task.
        assertEquals(Problem.DOES_NOT_FIT, assertFailsWith<ModelException> { open("task.tflite") }.problem)
        val other = withContract("classifier.tflite", """{"task": "cl<>sify", "names": ["a", "b", "c"]}""")
        val error = assertFailsWith<ModelException> { ImageModel.open(testFile(other), singleThread) }
        assertEquals(
            "The task of this model is `clsify`; supported tasks are `detect`, `segment`, `classify`. Choose a model with one of these tasks.",
            error.message,
        )
    }

    @Test
    fun `a detector is not a classifier, and the other way round`() {
        assertEquals(Problem.WRONG_TASK, assertFailsWith<ModelException> { classifier(modelBytes("int8-builtin.tflite")) }.problem)
        assertEquals(Problem.WRONG_TASK, assertFailsWith<ModelException> { detector(modelBytes("classifier.tflite")) }.problem)
    }

    @Test
    fun `closing twice is allowed, classifying after closing is not`() {
        val classifier = classifier(modelBytes("classifier.tflite"))
        classifier.close()
        classifier.close()
        assertFailsWith<IllegalStateException> { classifier.classify(image, 0, false) }
    }
}
