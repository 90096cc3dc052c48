package org.tfyolo.detector

import kotlin.test.Test
import kotlin.test.assertEquals

/** Rows of a model's outputs that are not valid boxes are dropped, by the rules of export/runtime/outputs.py. */
class ValidRowsTest {
    private val thresholds = Thresholds(0.25f, 0.45f, 100)
    private val valid = listOf(0.25f, 0.25f, 0.75f, 0.75f)

    /** ymin, xmin, ymax, xmax in 0 to 1. */
    private val invalidBoxes = mapOf(
        "not a number" to listOf(0.25f, Float.NaN, 0.75f, 0.75f),
        "infinite" to listOf(0.25f, 0.25f, 0.75f, Float.POSITIVE_INFINITY),
        "negative width" to listOf(0.25f, 0.75f, 0.75f, 0.25f),
        "negative height" to listOf(0.75f, 0.25f, 0.25f, 0.75f),
        "far outside" to listOf(-2e4f, 0.25f, 0.75f, 0.75f),
    )

    private val model = DetectorDescription(
        "", listOf("ant", "bee"), 32, 16, "", Normalization(0f, 255f), "", thresholds, thresholds, false, listOf(listOf(8f, 8f)), listOf(16),
    )

    private fun output(name: String, values: List<Float>, vararg shape: Int) = values(name, listOf(1) + shape.toList(), values.toFloatArray())

    private fun read(vararg outputs: Output): DetectionArrays =
        outputs.associateBy { it.name }.let { kindOf(it.keys).reader(it, model) }.read(thresholds)

    private fun detections(boxes: List<Float>, scores: List<Float>, classIds: List<Float>): DetectionArrays = read(
        output("num_detections", listOf(scores.size.toFloat())),
        output("detection_boxes", boxes, scores.size, 4),
        output("detection_scores", scores, scores.size),
        output("detection_classes", classIds, scores.size),
    )

    private fun candidates(boxes: List<Float>, scores: List<Float>): DetectionArrays =
        read(output("boxes", boxes, boxes.size / 4, 4), output("scores", scores, boxes.size / 4, 2))

    @Test
    fun `detections of a graph with NMS`() {
        for ((what, box) in invalidBoxes) {
            val found = detections(box + valid, listOf(0.9f, 0.8f), listOf(0f, 1f))
            assertEquals(listOf(8f, 4f, 24f, 12f), found.boxesXyxyPx.toList(), what)
            assertEquals(listOf(1) to listOf(1), found.classIds.toList() to found.rows.toList(), what)
        }
        for ((score, id) in listOf(Float.NaN to 0f, 1.1f to 0f, 0.9f to Float.NaN, 0.9f to 0.5f, 0.9f to 2f, 0.9f to -1f)) {
            assertEquals(listOf(1), detections(valid + valid, listOf(score, 0.8f), listOf(id, 1f)).rows.toList(), "score $score, class $id")
        }
        assertEquals(1, detections(valid, listOf(1.0005f), listOf(1f)).size, "a float16 score just above 1")
    }

    @Test
    fun `candidates of a graph without NMS`() {
        for ((what, box) in invalidBoxes) {
            val found = candidates(valid + box + valid, listOf(0f, 0f, 0.9f, 0f, 0f, 0.8f))
            assertEquals(listOf(8f, 4f, 24f, 12f), found.boxesXyxyPx.toList(), what)
            assertEquals(listOf(1) to listOf(2), found.classIds.toList() to found.rows.toList(), what)
        }
        for (score in listOf(Float.NaN, -0.1f, 1.1f)) {
            assertEquals(listOf(1), candidates(valid + valid, listOf(0.9f, score, 0f, 0.8f)).rows.toList(), "score $score")
        }
    }

    @Test
    fun `raw heads whose logits are not numbers`() {
        fun found(box: Float, objectness: Float) = read(
            output("box_0", listOf(box, 0f, 0f, 0f, 0f, 0f, 0f, 0f), 1, 2, 4),
            output("objectness_0", listOf(objectness, 5f), 1, 2, 1),
            output("classes_0", listOf(5f, 0f, 5f, 0f), 1, 2, 2),
        ).size
        assertEquals(listOf(2, 1, 1), listOf(found(0f, 5f), found(Float.NaN, 5f), found(0f, Float.NaN)))
    }

    @Test
    fun `a box that is not finite gets a label position, as do the boxes after it`() {
        val boxes = listOf(Box(Float.NaN, 0f, 9f, 9f), Box(0f, 20f, 40f, 40f), Box(Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, 0f, 0f))
        val places = placeLabels(boxes, listOf(20f, 20f, 20f), 10f, 100f, 100f)
        assertEquals(3, places.size)
        assertEquals(Box(0f, 10f, 20f, 20f), places[1])
    }
}
