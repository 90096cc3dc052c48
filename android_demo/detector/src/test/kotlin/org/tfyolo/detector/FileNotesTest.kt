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
import org.tfyolo.detector.ModelException.Problem

/** What is read from files that the exporter wrote, and from damaged ones. */
class FileNotesTest {
    private val exported = demoModels.listFiles { file -> file.extension == "tflite" && '-' in file.name }!!.toList()
    private val cells = listOf("Platelets", "RBC", "WBC")
    private val boxes = listOf("num_detections", "detection_boxes", "detection_scores", "detection_classes")

    @Test
    fun `every exported file`() {
        assertTrue(exported.size >= 7, "$exported")
        for (file in exported) {
            val notes = readNotes(modelBytes(file.name))
            assertEquals(cells, notes.labels, file.name)
            assertEquals(Normalization(0f, 255f), notes.normalization, file.name)
            assertNotNull(notes.name, file.name)
            val contract = assertNotNull(notes.contract, file.name)
            assertEquals(file.nameWithoutExtension, contract.getJSONObject("export").run { "${getString("precision")}-${getString("nms")}" })
            val suppressed = file.name.substringAfter('-') in listOf("postprocess.tflite", "builtin.tflite")
            assertEquals(if (suppressed) 0.1f else null, notes.scoreThreshold, file.name)
        }
    }

    @Test
    fun `metadata alone serves, without tfyolo's own description`() {
        val notes = readNotes(withoutContract(modelBytes("float32-postprocess.tflite")))
        assertNull(notes.contract)
        val description = describe(notes, listOf(1, 320, 320, 3), boxes)
        assertEquals(cells, description.labels)
        assertEquals(0.1f, description.inside?.score)
        assertEquals(0.45f, description.inside?.iou)
    }

    @Test
    fun `raw heads need their anchors`() {
        val notes = readNotes(withoutContract(modelBytes("float32-raw.tflite")))
        val error = assertFailsWith<ModelException> { describe(notes, listOf(1, 320, 320, 3), listOf("objectness_0")) }
        assertEquals(Problem.NO_DESCRIPTION, error.problem)
    }

    @Test
    fun `what is no detector says what was expected and found`() {
        val notes = readNotes(modelBytes("int8-builtin.tflite"))
        fun problem(shape: List<Int>, outputs: List<String>) = assertFailsWith<ModelException> { describe(notes, shape, outputs) }.message!!
        assertEquals(
            "This model's outputs are Identity, Identity_1; a detector has `num_detections` or `scores` or `objectness_0` among them. " +
                "Write it with `tfyolo export --include tflite`.",
            problem(listOf(1, 320, 320, 3), listOf("Identity_1", "Identity")),
        )
        assertEquals("The model's input is 352 x 320, and its tfyolo.json says 320 x 320. Export it again.", problem(listOf(1, 352, 320, 3), boxes))
        assertEquals("The model's input should be one RGB image, 1 x height x width x 3, and is 1 x 3 x 320 x 320.", problem(listOf(1, 3, 320, 320), boxes))
        val task = assertFailsWith<ModelException> { describe(readNotes(modelBytes("task.tflite")), listOf(1, 320, 320, 3), boxes) }
        assertEquals(Problem.WRONG_TASK, task.problem)
        assertEquals("This model does `classify`, and this is a detector. Choose a model of the task `detect`.", task.message)
    }

    @Test
    fun `other files are no models`() {
        for (bytes in listOf(ByteArray(0), ByteArray(4), "PK\u0003\u0004 and so on".toByteArray(), ByteArray(4096), File(demoModels, "expected.json").readBytes())) {
            assertEquals(Problem.NOT_TFLITE, assertFailsWith<ModelException> { readNotes(direct(bytes)) }.problem)
        }
    }

    @Test
    fun `damage ends in a message, or in nothing worse`() {
        val whole = File(demoModels, "int8-builtin.tflite").readBytes()
        val random = Random(7)
        var refused = 0
        val cuts = List(60) { whole.copyOf(random.nextInt(1, whole.size)) } + List(30) { whole.copyOf(whole.size - 1 - it * 97) }
        // What is read stands at the file's beginning and in its last kilobytes.
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
                describe(readNotes(direct(bytes)), listOf(1, 320, 320, 3), boxes)
            } catch (error: ModelException) {
                assertTrue(!error.message.isNullOrBlank())
                refused++
            }
        }
        assertTrue(refused > cuts.size / 2, "$refused of ${cuts.size + flips.size} were refused")
    }

    @Test
    fun `an archive that unpacks to more than fits is refused`() {
        val packed = java.io.ByteArrayOutputStream()
        java.util.zip.ZipOutputStream(packed).use { zip ->
            zip.putNextEntry(java.util.zip.ZipEntry("tfyolo.json"))
            repeat(64) { zip.write(ByteArray(1 shl 20)) }
        }
        val model = withoutContract(modelBytes("int8-builtin.tflite"))
        val bytes = ByteArray(model.limit()).also { model.get(it) } + packed.toByteArray()
        assertEquals(Problem.NOT_TFLITE, assertFailsWith<ModelException> { readNotes(direct(bytes)) }.problem)
    }

    /** The model with another archive behind it, which holds the labels and nothing else. */
    private fun withoutContract(model: ByteBuffer): ByteBuffer {
        val bytes = ByteArray(model.limit()).also { model.duplicate().get(it) }
        val renamed = "tfyolo.json".toByteArray()
        for (at in 0 until bytes.size - renamed.size) {
            if (bytes[at] == renamed[0] && renamed.indices.all { bytes[at + it] == renamed[it] }) bytes[at] = 'x'.code.toByte()
        }
        return direct(bytes)
    }
}
