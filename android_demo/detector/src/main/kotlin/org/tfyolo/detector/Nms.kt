package org.tfyolo.detector

/**
 * Boxes before NMS.
 *
 * @property boxesXyxyPx (n, 4), row by row: left, top, right, bottom in pixels of the input.
 * @property scores (n, numClasses): objectness times class score, 0 to 1.
 * @property coefficients (n, k): mask coefficients of raw heads; otherwise empty.
 */
internal class Candidates(
    val boxesXyxyPx: FloatArray,
    val scores: FloatArray,
    val numClasses: Int,
    val coefficients: FloatArray = FloatArray(0),
)

/**
 * Detections as arrays: one class per box.
 *
 * @property boxesXyxyPx (n, 4), row by row: left, top, right, bottom in pixels of the input.
 * @property scores (n,): 0 to 1.
 * @property classIds (n,)
 * @property rows (n,): rows of the candidates or detections that these were selected from.
 */
internal class DetectionArrays(
    val boxesXyxyPx: FloatArray,
    val scores: FloatArray,
    val classIds: IntArray,
    val rows: IntArray = IntArray(scores.size) { it },
) {
    val size: Int get() = scores.size
}

/** Only this many candidates with the highest scores enter NMS, as in YOLOv5. */
private const val MAX_CANDIDATES = 30_000

/**
 * Non-maximum suppression (NMS) with YOLOv5's options; the same results as tfyolo/inference/nms.py.
 *
 * @param agnostic class-agnostic NMS: boxes of different classes suppress each other.
 * @param multiLabel one detection per class above the confidence threshold, instead of the best class only.
 * @return detections sorted by descending score; equal scores keep the order of the candidates.
 */
internal fun nonMaxSuppression(
    candidates: Candidates,
    thresholds: Thresholds,
    agnostic: Boolean = false,
    multiLabel: Boolean = false,
): DetectionArrays {
    val nms = GreedyNms(candidates.boxesXyxyPx, thresholds)
    val scores = candidates.scores
    val numClasses = candidates.numClasses
    for (row in 0 until scores.size / numClasses) {
        val start = row * numClasses
        var best = 0
        for (c in 0 until numClasses) {
            if (multiLabel) nms.add(row, c, scores[start + c])
            if (scores[start + c] > scores[start + best]) best = c
        }
        if (!multiLabel) nms.add(row, best, scores[start + best])
    }
    return nms.run(agnostic)
}

/**
 * Apply stricter thresholds to detections from a graph that contains NMS.
 *
 * Looser thresholds than those of the graph have no effect: the boxes that the graph suppressed are lost.
 */
internal fun refine(detections: DetectionArrays, thresholds: Thresholds, agnostic: Boolean = false): DetectionArrays {
    val nms = GreedyNms(detections.boxesXyxyPx, thresholds)
    for (row in 0 until detections.size) nms.add(row, detections.classIds[row], detections.scores[row])
    return nms.run(agnostic)
}

/** Greedy NMS: keep the best remaining box, suppress the boxes whose IoU with it exceeds the threshold, repeat. */
private class GreedyNms(private val boxes: FloatArray, private val thresholds: Thresholds) {
    private class Candidate(val row: Int, val classId: Int, val score: Float) {
        var suppressed = false
    }

    private val candidates = ArrayList<Candidate>()

    /** Add a box if its score and class pass the thresholds. */
    fun add(row: Int, classId: Int, score: Float) {
        if (score > thresholds.confidence && thresholds.classIds?.contains(classId) != false) candidates += Candidate(row, classId, score)
    }

    fun run(agnostic: Boolean): DetectionArrays {
        candidates.sortByDescending { it.score }
        val count = minOf(candidates.size, MAX_CANDIDATES)
        val kept = ArrayList<Candidate>()
        for (i in 0 until count) {
            val best = candidates[i]
            if (best.suppressed) continue
            if (kept.size == thresholds.maxDetections) break
            kept += best
            for (j in i + 1 until count) {
                val other = candidates[j]
                if (!other.suppressed && (agnostic || other.classId == best.classId)) other.suppressed = iouExceedsThreshold(best.row, other.row)
            }
        }
        return DetectionArrays(
            FloatArray(4 * kept.size) { boxes[4 * kept[it / 4].row + it % 4] },
            FloatArray(kept.size) { kept[it].score },
            IntArray(kept.size) { kept[it].classId },
            IntArray(kept.size) { kept[it].row },
        )
    }

    private fun iouExceedsThreshold(a: Int, b: Int): Boolean {
        val i = 4 * a
        val j = 4 * b
        val width = minOf(boxes[i + 2], boxes[j + 2]) - maxOf(boxes[i], boxes[j])
        val height = minOf(boxes[i + 3], boxes[j + 3]) - maxOf(boxes[i + 1], boxes[j + 1])
        val intersection = maxOf(width, 0f) * maxOf(height, 0f)
        // Multiplied by the union instead of divided: boxes without area would divide by zero.
        return intersection > thresholds.iou * (area(i) + area(j) - intersection)
    }

    private fun area(i: Int): Float = (boxes[i + 2] - boxes[i]) * (boxes[i + 3] - boxes[i + 1])
}
