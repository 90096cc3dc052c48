package org.tfyolo.detector

import org.json.JSONArray
import org.json.JSONException
import org.json.JSONObject
import org.tfyolo.detector.ModelException.Problem

/** Maximum height and width of the input in pixels; the limit of tfyolo/models/config/settings.py. */
private const val MAX_SIDE = 4096
private const val CONTRACT = "tfyolo.json"

/** Task of a model whose metadata does not name one, because it was not written by tfyolo. */
private const val DEFAULT_TASK = "detect"

/** The task of the model: `detect`, `segment`, `classify`, or one that this library does not know. */
internal fun taskOf(metadata: ModelMetadata): String = metadata.contract?.optString("task", DEFAULT_TASK) ?: DEFAULT_TASK

/** Exception for a model whose task is not among those that are needed; `needed` completes "..., but". */
internal fun wrongTask(metadata: ModelMetadata, needed: String): ModelException {
    val printable = taskOf(metadata).filter { it.isLetterOrDigit() || it in " -_" }.take(40)
    return ModelException(Problem.WRONG_TASK, "The task of this model is `$printable`; $needed")
}

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
internal fun describeDetector(metadata: ModelMetadata, inputShape: List<Int>, outputs: Collection<String>): DetectorDescription {
    if (taskOf(metadata) !in DETECTOR_TASKS) {
        throw wrongTask(metadata, "a detector needs `detect` or `segment`. Choose such a model, or load this one with `ImageModel`.")
    }
    val kind = kindOf(outputs)
    return describe(metadata, inputShape, needsContract = kind.nms == "raw") { facts -> buildDetector(facts, metadata, kind, outputs) }
}

/** As [describeDetector], for a classifier. */
internal fun describeClassifier(metadata: ModelMetadata, inputShape: List<Int>, outputs: Collection<String>): ClassifierDescription {
    if (taskOf(metadata) != CLASSIFIER_TASK) {
        throw wrongTask(metadata, "a classifier needs `classify`. Choose such a model, or load this one with `ImageModel`.")
    }
    classOutputOf(outputs)
    return describe(metadata, inputShape, needsContract = false) { it }
}

/** Check what all models have in common, and pass it to `build` as the description of a classifier. */
private fun <T> describe(
    metadata: ModelMetadata,
    inputShape: List<Int>,
    needsContract: Boolean,
    build: (ClassifierDescription) -> T,
): T {
    if (metadata.classNames.isEmpty() || (needsContract && metadata.contract == null)) {
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
        build(commonFacts(metadata, inputShape))
    } catch (error: JSONException) {
        throw ModelException(Problem.NO_DESCRIPTION, "The model's $CONTRACT is damaged (${error.message}). Export the model again.", error)
    }
}

private fun commonFacts(metadata: ModelMetadata, inputShape: List<Int>): ClassifierDescription {
    val (_, height, width) = inputShape
    val contract = metadata.contract ?: JSONObject()
    contract.optJSONArray("image_size")?.let { size ->
        if (size.getInt(0) != height || size.getInt(1) != width) {
            throw ModelException(
                Problem.DOES_NOT_FIT,
                "The model's input is $height x $width, but its $CONTRACT says ${size.getInt(0)} x ${size.getInt(1)}. Export the model again.",
            )
        }
    }
    return ClassifierDescription(
        name = contract.optJSONObject("config")?.optString("name").orEmpty().ifEmpty { metadata.name ?: "YOLOv5" },
        classNames = metadata.classNames,
        inputWidth = width,
        inputHeight = height,
        precision = exportOf(metadata).optString("precision", "float32"),
        normalization = metadata.normalization ?: Normalization(0f, 255f),
    )
}

private fun exportOf(metadata: ModelMetadata): JSONObject = metadata.contract?.optJSONObject("export") ?: JSONObject()

private fun buildDetector(
    facts: ModelDescription,
    metadata: ModelMetadata,
    kind: OutputKind,
    outputs: Collection<String>,
): DetectorDescription {
    val export = exportOf(metadata)
    val thresholds = Thresholds(
        export.optDouble("conf_thres", metadata.confidenceThreshold?.toDouble() ?: 0.25).toFloat(),
        export.optDouble("iou_thres", 0.45).toFloat(),
        export.optInt("max_det", 100),
    )
    val nmsInGraph = kind.nms == KINDS.first().nms
    val anchors = metadata.contract?.optJSONArray("anchors_px")?.map { row -> getJSONArray(row).map { getDouble(it).toFloat() } }.orEmpty()
    val strides = metadata.contract?.optJSONArray("strides")?.map { getInt(it) }.orEmpty()
    if (anchors.size != strides.size || anchors.any { it.size % 2 != 0 } || strides.any { it < 1 }) {
        throw ModelException(
            Problem.NO_DESCRIPTION,
            "The model's $CONTRACT has anchors for ${anchors.size} scales but strides for ${strides.size}. Export the model again.",
        )
    }
    return DetectorDescription(
        name = facts.name,
        classNames = facts.classNames,
        inputWidth = facts.inputWidth,
        inputHeight = facts.inputHeight,
        precision = facts.precision,
        normalization = facts.normalization,
        nms = if (nmsInGraph) export.optString("nms", "builtin") else kind.nms,
        embeddedNms = thresholds.takeIf { nmsInGraph },
        // Without NMS in the graph, the file usually has no thresholds; these are then YOLOv5's defaults.
        defaults = thresholds,
        hasMasks = kind.masks in outputs,
        anchorsPx = anchors,
        strides = strides,
    )
}

private fun <T> JSONArray.map(element: JSONArray.(Int) -> T): List<T> = List(length()) { element(it) }
