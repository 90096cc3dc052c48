package org.tfyolo.detector

import java.io.File
import java.nio.ByteBuffer
import kotlin.random.Random
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertNotNull
import kotlin.test.assertNull
import kotlin.test.assertTrue
import org.json.JSONArray
import org.tfyolo.detector.ModelException.Problem

/** Reading metadata from exported models and from damaged files. */
class ModelMetadataTest {
    private val exported = demoModels.listFiles { file -> file.extension == "tflite" && '-' in file.name }!!.toList()
    private val cells = listOf("Platelets", "RBC", "WBC")
    private val boxes = listOf("num_detections", "detection_boxes", "detection_scores", "detection_classes")

    @Test
    fun `all exported models`() {
        assertTrue(exported.size >= 7, "$exported")
        for (file in exported) {
            val metadata = readModelMetadata(modelBytes(file.name))
            assertEquals(cells, metadata.classNames, file.name)
            assertEquals(Normalization(0f, 255f), metadata.normalization, file.name)
            assertNotNull(metadata.name, file.name)
            val contract = assertNotNull(metadata.contract, file.name)
            assertEquals(file.nameWithoutExtension, contract.getJSONObject("export").run { "${getString("precision")}-${getString("nms")}" })
            val suppressed = file.name.substringAfter('-') in listOf("postprocess.tflite", "builtin.tflite")
            assertEquals(if (suppressed) 0.1f else null, metadata.confidenceThreshold, file.name)
        }
    }

    @Test
    fun `standard TFLite metadata is sufficient without tfyolo_json`() {
        val metadata = readModelMetadata(withoutContract(modelBytes("float32-postprocess.tflite")))
        assertNull(metadata.contract)
        val description = describeDetector(metadata, listOf(1, 320, 320, 3), boxes)
        assertEquals(cells, description.classNames)
        assertEquals(0.1f, description.embeddedNms?.confidence)
        assertEquals(0.45f, description.embeddedNms?.iou)
    }

    @Test
    fun `class names are those of tfyolo_json, because a name in labels_txt cannot have a line break`() {
        val names = listOf("blood\nplatelets", "RBC", "WBC")
        val contract = readModelMetadata(modelBytes("float32-postprocess.tflite")).contract!!.put("names", JSONArray(names))
        val labels = names.joinToString("") { "$it\n" }
        fun read(files: Map<String, String>) = readModelMetadata(withFiles("float32-postprocess.tflite", files)).classNames
        assertEquals(names, read(mapOf("labels.txt" to labels, "tfyolo.json" to "$contract")))
        contract.remove("names")
        assertEquals(cells, read(mapOf("labels.txt" to cells.joinToString("") { "$it\n" }, "tfyolo.json" to "$contract")))
    }

    @Test
    fun `raw heads with coefficients have masks`() {
        val metadata = readModelMetadata(modelBytes("float32-raw.tflite"))
        fun hasMasks(vararg outputs: String) = describeDetector(metadata, listOf(1, 320, 320, 3), outputs.toList()).hasMasks
        assertEquals(true to false, hasMasks("objectness_0", "coefficients_0", "prototypes") to hasMasks("objectness_0"))
    }

    @Test
    fun `raw heads require anchors`() {
        val metadata = readModelMetadata(withoutContract(modelBytes("float32-raw.tflite")))
        val error = assertFailsWith<ModelException> { describeDetector(metadata, listOf(1, 320, 320, 3), listOf("objectness_0")) }
        assertEquals(Problem.NO_DESCRIPTION, error.problem)
    }

    @Test
    fun `messages for models that are not detectors`() {
        val metadata = readModelMetadata(modelBytes("int8-builtin.tflite"))
        fun problem(shape: List<Int>, outputs: List<String>) = assertFailsWith<ModelException> { describeDetector(metadata, shape, outputs) }.message!!
        assertEquals(
            "This model's outputs are Identity, Identity_1; a detector has one of `num_detections`, `scores`, `objectness_0`. " +
                "Export it with `tfyolo export --include tflite`.",
            problem(listOf(1, 320, 320, 3), listOf("Identity_1", "Identity")),
        )
        assertEquals("The model's input is 352 x 320, but its tfyolo.json says 320 x 320. Export the model again.", problem(listOf(1, 352, 320, 3), boxes))
        assertEquals("The model's input must be one RGB image, 1 x height x width x 3, but is 1 x 3 x 320 x 320.", problem(listOf(1, 3, 320, 320), boxes))
        assertEquals("The model's input must be one RGB image, 1 x height x width x 3, but is 1 x 4128 x 320 x 3.", problem(listOf(1, 4128, 320, 3), boxes))
        val task = assertFailsWith<ModelException> { describeDetector(readModelMetadata(modelBytes("task.tflite")), listOf(1, 320, 320, 3), boxes) }
        assertEquals(Problem.WRONG_TASK, task.problem)
        assertEquals(
            "The task of this model is `classify`; a detector needs `detect` or `segment`. Choose such a model, or load this one with `ImageModel`.",
            task.message,
        )
    }

    @Test
    fun `messages for models that are not classifiers`() {
        val metadata = readModelMetadata(modelBytes("classifier.tflite"))
        fun problem(shape: List<Int>, outputs: List<String>) = assertFailsWith<ModelException> { describeClassifier(metadata, shape, outputs) }.message!!
        assertEquals(
            "This model's outputs are scores; a classifier has one of `probabilities`, `logits`. Export it with `tfyolo export --include tflite`.",
            problem(listOf(1, 64, 96, 3), listOf("scores")),
        )
        assertEquals("The model's input is 96 x 64, but its tfyolo.json says 64 x 96. Export the model again.", problem(listOf(1, 96, 64, 3), listOf("probabilities")))
        val detector = readModelMetadata(modelBytes("int8-builtin.tflite"))
        val task = assertFailsWith<ModelException> { describeClassifier(detector, listOf(1, 320, 320, 3), boxes) }
        assertEquals(Problem.WRONG_TASK, task.problem)
    }

    @Test
    fun `other files are rejected`() {
        for (bytes in listOf(ByteArray(0), ByteArray(4), "PK\u0003\u0004 and so on".toByteArray(), ByteArray(4096), File(demoModels, "expected.json").readBytes())) {
            assertEquals(Problem.NOT_TFLITE, assertFailsWith<ModelException> { readModelMetadata(direct(bytes)) }.problem)
        }
    }

    @Test
    fun `damaged files throw a ModelException or are still readable`() {
        val whole = File(demoModels, "int8-builtin.tflite").readBytes()
        val random = Random(7)
        var rejected = 0
        val cuts = List(60) { whole.copyOf(random.nextInt(1, whole.size)) } + List(30) { whole.copyOf(whole.size - 1 - it * 97) }
        // Metadata is at the start of the file and in its last kilobytes.
        val flips = List(600) {
            whole.copyOf().also { bytes ->
                repeat(random.nextInt(1, 20)) {
                    val at = if (random.nextBoolean()) random.nextInt(0, 2048) else whole.size - 1 - random.nextInt(12_000)
                    bytes[at] = random.nextInt().toByte()
                }
            }
        }
        for (bytes in cuts + flips) {
            try {
                describeDetector(readModelMetadata(direct(bytes)), listOf(1, 320, 320, 3), boxes)
            } catch (error: ModelException) {
                assertTrue(!error.message.isNullOrBlank())
                rejected++
            }
        }
        assertTrue(rejected > cuts.size / 2, "$rejected of ${cuts.size + flips.size} were rejected")
    }

    @Test
    fun `a zip bomb is rejected`() {
        val packed = java.io.ByteArrayOutputStream()
        java.util.zip.ZipOutputStream(packed).use { zip ->
            zip.putNextEntry(java.util.zip.ZipEntry("tfyolo.json"))
            repeat(64) { zip.write(ByteArray(1 shl 20)) }
        }
        val model = withoutContract(modelBytes("int8-builtin.tflite"))
        val bytes = ByteArray(model.limit()).also { model.get(it) } + packed.toByteArray()
        assertEquals(Problem.NOT_TFLITE, assertFailsWith<ModelException> { readModelMetadata(direct(bytes)) }.problem)
    }

    /** The model with tfyolo.json renamed in its archive, so that only the labels are found. */
    private fun withoutContract(model: ByteBuffer): ByteBuffer {
        val bytes = ByteArray(model.limit()).also { model.duplicate().get(it) }
        val renamed = "tfyolo.json".toByteArray()
        for (at in 0 until bytes.size - renamed.size) {
            if (bytes[at] == renamed[0] && renamed.indices.all { bytes[at + it] == renamed[it] }) bytes[at] = 'x'.code.toByte()
        }
        return direct(bytes)
    }
}
