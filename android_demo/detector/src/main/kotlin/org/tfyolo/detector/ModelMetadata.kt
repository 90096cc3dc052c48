package org.tfyolo.detector

import java.io.IOException
import java.nio.BufferUnderflowException
import java.nio.ByteBuffer
import org.json.JSONException
import org.json.JSONObject
import org.tfyolo.detector.ModelException.Problem

/**
 * Metadata in a `.tflite` file: standard TFLite metadata, and the associated files appended to the model.
 *
 * @property name of the model in the TFLite metadata.
 * @property classNames from tfyolo.json, otherwise from the label file of the TFLite metadata, which has one name per line; empty
 *   if there is neither.
 * @property normalization of the first input; null if the TFLite metadata has none.
 * @property confidenceThreshold from the TFLite metadata; null if there is none.
 * @property contract tfyolo.json, which holds what TFLite metadata has no fields for: anchors, strides, IoU threshold.
 */
internal class ModelMetadata(
    val name: String?,
    val classNames: List<String>,
    val normalization: Normalization?,
    val confidenceThreshold: Float?,
    val contract: JSONObject?,
)

private const val CONTRACT_FILE = "tfyolo.json"
private const val MODEL_METADATA = "TFLITE_METADATA"

/** Field indices in TensorFlow Lite's schema.fbs and metadata_schema.fbs. */
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
 * Read the metadata of a `.tflite` file.
 *
 * @param model the bytes of the file.
 * @throws ModelException `NOT_TFLITE` if the file is not a TensorFlow Lite model, or is damaged.
 */
internal fun readModelMetadata(model: ByteBuffer): ModelMetadata {
    val root = convertErrors { Table.root(model, "TFL3") } ?: throw ModelException(
        Problem.NOT_TFLITE,
        "This is not a TensorFlow Lite model: its file identifier is missing. Choose a `.tflite` file.",
    )
    return convertErrors {
        val files = readAppendedZip(model)
        val metadata = metadataOf(root, model)?.let { Table.root(it, "M001") }
        val graph = metadata?.tables(Field.METADATA_SUBGRAPHS)?.firstOrNull()
        val outputs = graph?.tables(Field.SUBGRAPH_OUTPUTS).orEmpty()
        val contract = files[CONTRACT_FILE]?.let { JSONObject(String(it, Charsets.UTF_8)) }
        ModelMetadata(
            metadata?.string(Field.METADATA_NAME),
            contract?.optJSONArray("names")?.let { names -> List(names.length()) { names.getString(it) } } ?: labelsOf(outputs, files).orEmpty(),
            graph?.tables(Field.SUBGRAPH_INPUTS)?.firstOrNull()?.unit(UNIT_NORMALIZATION)?.let(::normalizationOf),
            outputs.firstNotNullOfOrNull { it.unit(UNIT_SCORE_THRESHOLD) }?.float(Field.THRESHOLD_SCORE),
            contract,
        )
    }
}

private fun metadataOf(root: Table, model: ByteBuffer): ByteBuffer? {
    val entry = root.tables(Field.MODEL_METADATA).firstOrNull { it.string(Field.ENTRY_NAME) == MODEL_METADATA } ?: return null
    val buffer = root.tables(Field.MODEL_BUFFERS).getOrNull(entry.int(Field.ENTRY_BUFFER)) ?: return null
    // Models larger than 2 GB, and some smaller ones, store their buffers after the FlatBuffer.
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
            "The metadata normalizes with mean $mean and std $std; one value for all three channels is expected for each.",
        )
    }
    return Normalization(mean[0], std[0])
}

private fun labelsOf(outputs: List<Table>, files: Map<String, ByteArray>): List<String>? =
    outputs.flatMap { it.tables(Field.TENSOR_FILES) }
        .firstOrNull { it.byte(Field.FILE_TYPE) == FILE_VALUE_LABELS || it.byte(Field.FILE_TYPE) == FILE_AXIS_LABELS }
        ?.let { files[it.string(Field.FILE_NAME)] }
        ?.let { String(it, Charsets.UTF_8).removeSuffix("\n").split('\n') }

/** Convert the exceptions that damaged files cause to a [ModelException]. */
private inline fun <T> convertErrors(read: () -> T): T =
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
    "The metadata of this model is damaged (${error.message}). Export or copy the model again.",
    error,
)
