package org.tfyolo.detector

import java.io.IOException
import java.nio.BufferUnderflowException
import java.nio.ByteBuffer
import org.json.JSONException
import org.json.JSONObject
import org.tfyolo.detector.ModelException.Problem

/**
 * What stands in a `.tflite` file beside the network: TFLite metadata, and the files behind the model.
 *
 * @property name of the model in its metadata.
 * @property labels from the metadata's label file, or from tfyolo.json; empty if there are neither.
 * @property normalization of the first input; null where the metadata names none.
 * @property scoreThreshold that the metadata names; null if none.
 * @property contract tfyolo.json, which tells what TFLite metadata has no place for: anchors, strides, thresholds.
 */
internal class FileNotes(
    val name: String?,
    val labels: List<String>,
    val normalization: Normalization?,
    val scoreThreshold: Float?,
    val contract: JSONObject?,
)

private const val CONTRACT_FILE = "tfyolo.json"
private const val MODEL_METADATA = "TFLITE_METADATA"

/** Where fields stand in TensorFlow Lite's schema.fbs and metadata_schema.fbs. */
private object Field {
    const val MODEL_BUFFERS = 4
    const val MODEL_METADATA = 6
    const val ENTRY_NAME = 0
    const val ENTRY_BUFFER = 1
    const val BUFFER_DATA = 0
    const val BUFFER_OFFSET = 1
    const val BUFFER_SIZE = 2
    const val METADATA_NAME = 0
    const val METADATA_SUBGRAPHS = 3
    const val SUBGRAPH_INPUTS = 2
    const val SUBGRAPH_OUTPUTS = 3
    const val TENSOR_UNITS = 4
    const val TENSOR_FILES = 6
    const val UNIT_TYPE = 0
    const val UNIT_OPTIONS = 1
    const val NORMALIZATION_MEAN = 0
    const val NORMALIZATION_STD = 1
    const val THRESHOLD_SCORE = 0
    const val FILE_NAME = 0
    const val FILE_TYPE = 2
}

private const val UNIT_NORMALIZATION = 1
private const val UNIT_SCORE_THRESHOLD = 3
private const val FILE_VALUE_LABELS = 3
private const val FILE_AXIS_LABELS = 2

/**
 * Read them.
 *
 * @throws ModelException `NOT_TFLITE`.
 */
internal fun readNotes(model: ByteBuffer): FileNotes {
    val root = guarded { Table.root(model, "TFL3") } ?: throw ModelException(
        Problem.NOT_TFLITE,
        "This is no TensorFlow Lite model: it does not begin like one. Choose a `.tflite` file.",
    )
    return guarded {
        val files = readZipTail(model)
        val metadata = metadataOf(root, model)?.let { Table.root(it, "M001") }
        val graph = metadata?.tables(Field.METADATA_SUBGRAPHS)?.firstOrNull()
        val outputs = graph?.tables(Field.SUBGRAPH_OUTPUTS).orEmpty()
        val contract = files[CONTRACT_FILE]?.let { JSONObject(String(it, Charsets.UTF_8)) }
        FileNotes(
            metadata?.string(Field.METADATA_NAME),
            labelsOf(outputs, files) ?: contract?.optJSONArray("names")?.let { names -> List(names.length()) { names.getString(it) } }.orEmpty(),
            graph?.tables(Field.SUBGRAPH_INPUTS)?.firstOrNull()?.unit(UNIT_NORMALIZATION)?.let(::normalizationOf),
            outputs.firstNotNullOfOrNull { it.unit(UNIT_SCORE_THRESHOLD) }?.float(Field.THRESHOLD_SCORE),
            contract,
        )
    }
}

private fun metadataOf(root: Table, model: ByteBuffer): ByteBuffer? {
    val entry = root.tables(Field.MODEL_METADATA).firstOrNull { it.string(Field.ENTRY_NAME) == MODEL_METADATA } ?: return null
    val buffer = root.tables(Field.MODEL_BUFFERS).getOrNull(entry.int(Field.ENTRY_BUFFER)) ?: return null
    // Models of more than 2 GB keep their buffers behind the FlatBuffer; so do some small ones.
    val offset = buffer.long(Field.BUFFER_OFFSET)
    if (offset <= 1) return buffer.bytes(Field.BUFFER_DATA)
    return slice(model, Math.toIntExact(offset), Math.toIntExact(buffer.long(Field.BUFFER_SIZE)))
}

private fun Table.unit(type: Int): Table? =
    tables(Field.TENSOR_UNITS).firstOrNull { it.byte(Field.UNIT_TYPE) == type }?.table(Field.UNIT_OPTIONS)

private fun normalizationOf(options: Table): Normalization? {
    val mean = options.floats(Field.NORMALIZATION_MEAN).distinct()
    val std = options.floats(Field.NORMALIZATION_STD).distinct()
    if (mean.isEmpty() || std.isEmpty()) return null
    if (mean.size > 1 || std.size > 1 || std[0] == 0f) {
        throw ModelException(
            Problem.DOES_NOT_FIT,
            "The metadata normalizes pixels with mean $mean and deviation $std; one of each, for all three colors, is expected.",
        )
    }
    return Normalization(mean[0], std[0])
}

private fun labelsOf(outputs: List<Table>, files: Map<String, ByteArray>): List<String>? =
    outputs.flatMap { it.tables(Field.TENSOR_FILES) }
        .firstOrNull { it.byte(Field.FILE_TYPE) == FILE_VALUE_LABELS || it.byte(Field.FILE_TYPE) == FILE_AXIS_LABELS }
        ?.let { files[it.string(Field.FILE_NAME)] }
        ?.let { String(it, Charsets.UTF_8).removeSuffix("\n").split('\n') }

/** Damage that shows while reading, told as what it is. */
private inline fun <T> guarded(read: () -> T): T =
    try {
        read()
    } catch (error: IndexOutOfBoundsException) {
        throw damaged(error)
    } catch (error: BufferUnderflowException) {
        throw damaged(error)
    } catch (error: IllegalArgumentException) {
        throw damaged(error)
    } catch (error: ArithmeticException) {
        throw damaged(error)
    } catch (error: IOException) {
        throw damaged(error)
    } catch (error: JSONException) {
        throw damaged(error)
    }

private fun damaged(error: Exception) = ModelException(
    Problem.NOT_TFLITE,
    "What this model says about itself is damaged (${error.message}). Export or copy it again.",
    error,
)
