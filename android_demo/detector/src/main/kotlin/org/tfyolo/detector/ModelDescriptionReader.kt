package org.tfyolo.detector

import org.json.JSONArray
import org.json.JSONException
import org.json.JSONObject
import org.tfyolo.detector.ModelException.Problem

private const val MAX_SIDE = 8192

/**
 * Combine the metadata of a file and the shapes of its tensors to the description of a detector.
 *
 * Class names, normalization and thresholds can come from standard TFLite metadata. Only raw heads require tfyolo.json,
 * which contains their anchors.
 *
 * @param inputShape shape of the model's only input.
 * @param outputs names of the model's outputs.
 * @throws ModelException if the metadata does not match the tensors, or the model is not a detector.
 */
internal fun describe(metadata: ModelMetadata, inputShape: List<Int>, outputs: Collection<String>): ModelDescription {
    val contract = metadata.contract
    val task = contract?.optString("task", "detect") ?: "detect"
    if (task != "detect") {
        val printable = task.filter { it.isLetterOrDigit() || it in " -_" }.take(40)
        throw ModelException(Problem.WRONG_TASK, "The task of this model is `$printable`; a detector needs `detect`. Choose a model whose task is `detect`.")
    }
    val kind = kindOf(outputs)
    if (metadata.classNames.isEmpty() || (kind.nms == "raw" && contract == null)) {
        throw ModelException(
            Problem.NO_DESCRIPTION,
            "This TensorFlow Lite model has no tfyolo metadata, or the file is truncated. " +
                "Export it with `tfyolo export --include tflite`.",
        )
    }
    if (inputShape.size != 4 || inputShape[0] != 1 || inputShape[3] != 3 || inputShape.any { it !in 1..MAX_SIDE }) {
        throw ModelException(
            Problem.DOES_NOT_FIT,
            "The model's input must be one RGB image, 1 x height x width x 3, but is ${inputShape.joinToString(" x ")}.",
        )
    }
    return try {
        buildDescription(metadata, inputShape, kind, contract ?: JSONObject())
    } catch (error: JSONException) {
        throw ModelException(Problem.NO_DESCRIPTION, "The model's $CONTRACT is damaged (${error.message}). Export the model again.", error)
    }
}

private const val CONTRACT = "tfyolo.json"

private fun buildDescription(metadata: ModelMetadata, inputShape: List<Int>, kind: OutputKind, contract: JSONObject): ModelDescription {
    val (_, height, width) = inputShape
    contract.optJSONArray("image_size")?.let { size ->
        if (size.getInt(0) != height || size.getInt(1) != width) {
            throw ModelException(
                Problem.DOES_NOT_FIT,
                "The model's input is $height x $width, but its $CONTRACT says ${size.getInt(0)} x ${size.getInt(1)}. Export the model again.",
            )
        }
    }
    val export = contract.optJSONObject("export") ?: JSONObject()
    val thresholds = Thresholds(
        export.optDouble("conf_thres", metadata.confidenceThreshold?.toDouble() ?: 0.25).toFloat(),
        export.optDouble("iou_thres", 0.45).toFloat(),
        export.optInt("max_det", 100),
    )
    val nmsInGraph = kind.nms == KINDS.first().nms
    val anchors = contract.optJSONArray("anchors_px")?.map { row -> getJSONArray(row).map { getDouble(it).toFloat() } }.orEmpty()
    val strides = contract.optJSONArray("strides")?.map { getInt(it) }.orEmpty()
    if (anchors.size != strides.size || anchors.any { it.size % 2 != 0 } || strides.any { it < 1 }) {
        throw ModelException(
            Problem.NO_DESCRIPTION,
            "The model's $CONTRACT has anchors for ${anchors.size} scales but strides for ${strides.size}. Export the model again.",
        )
    }
    return ModelDescription(
        name = contract.optJSONObject("config")?.optString("name").orEmpty().ifEmpty { metadata.name ?: "YOLOv5" },
        classNames = metadata.classNames,
        inputWidth = width,
        inputHeight = height,
        precision = export.optString("precision", "float32"),
        nms = if (nmsInGraph) export.optString("nms", "builtin") else kind.nms,
        embeddedNms = thresholds.takeIf { nmsInGraph },
        // Without NMS in the graph, the file usually has no thresholds; these are then YOLOv5's defaults.
        defaults = thresholds,
        normalization = metadata.normalization ?: Normalization(0f, 255f),
        anchorsPx = anchors,
        strides = strides,
    )
}

private fun <T> JSONArray.map(element: JSONArray.(Int) -> T): List<T> = List(length()) { element(it) }
