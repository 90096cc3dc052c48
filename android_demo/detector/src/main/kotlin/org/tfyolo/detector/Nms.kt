package org.tfyolo.detector

/**
 * Boxes before suppression.
 *
 * @property boxesXyxyPx (n, 4), row by row: left, top, right, bottom in pixels of the input.
 * @property scores (n, classes)
 */
internal class Candidates(val boxesXyxyPx: FloatArray, val scores: FloatArray, val classes: Int)

/** Boxes with a class each; `boxesXyxyPx` as in [Candidates]. */
internal class Found(val boxesXyxyPx: FloatArray, val scores: FloatArray, val classes: IntArray) {
    val size: Int get() = scores.size
}

/** Best candidates that are looked at, as in YOLOv5. */
private const val MAX_CANDIDATES = 30_000

/**
 * Non-maximum suppression with YOLOv5's options, as in Python's `inference/nms.py`.
 *
 * @param agnostic boxes of other classes suppress, too.
 * @param multiLabel a box counts for every class above the threshold, not for its best one only.
 */
internal fun nonMaxSuppression(
    candidates: Candidates,
    thresholds: Thresholds,
    agnostic: Boolean = false,
    multiLabel: Boolean = false,
): Found {
    val chosen = Chosen(candidates.boxesXyxyPx, thresholds)
    val scores = candidates.scores
    val classes = candidates.classes
    for (row in 0 until scores.size / classes) {
        val start = row * classes
        var best = 0
        for (c in 0 until classes) {
            if (multiLabel) chosen.add(row, c, scores[start + c])
            if (scores[start + c] > scores[start + best]) best = c
        }
        if (!multiLabel) chosen.add(row, best, scores[start + best])
    }
    return chosen.suppress(agnostic)
}

/**
 * What stricter thresholds leave of detections that the network has suppressed already.
 *
 * Looser ones than the network's change nothing: what it dropped is gone.
 */
internal fun refine(found: Found, thresholds: Thresholds, agnostic: Boolean = false): Found {
    val chosen = Chosen(found.boxesXyxyPx, thresholds)
    for (row in 0 until found.size) chosen.add(row, found.classes[row], found.scores[row])
    return chosen.suppress(agnostic)
}

private class Chosen(private val boxes: FloatArray, private val thresholds: Thresholds) {
    private class Entry(val row: Int, val label: Int, val score: Float) {
        var gone = false
    }

    private val entries = ArrayList<Entry>()

    fun add(row: Int, label: Int, score: Float) {
        if (score > thresholds.score && thresholds.classes?.contains(label) != false) entries += Entry(row, label, score)
    }

    /** Keep the boxes that no better box of their class overlaps too much; best first, of equals the earlier one. */
    fun suppress(agnostic: Boolean): Found {
        entries.sortByDescending { it.score }
        val last = minOf(entries.size, MAX_CANDIDATES)
        val kept = ArrayList<Entry>()
        for (i in 0 until last) {
            val best = entries[i]
            if (best.gone) continue
            if (kept.size == thresholds.maxResults) break
            kept += best
            for (j in i + 1 until last) {
                val other = entries[j]
                if (!other.gone && (agnostic || other.label == best.label)) other.gone = overlap(best.row, other.row)
            }
        }
        return Found(
            FloatArray(4 * kept.size) { boxes[4 * kept[it / 4].row + it % 4] },
            FloatArray(kept.size) { kept[it].score },
            IntArray(kept.size) { kept[it].label },
        )
    }

    private fun overlap(a: Int, b: Int): Boolean {
        val i = 4 * a
        val j = 4 * b
        val width = minOf(boxes[i + 2], boxes[j + 2]) - maxOf(boxes[i], boxes[j])
        val height = minOf(boxes[i + 3], boxes[j + 3]) - maxOf(boxes[i + 1], boxes[j + 1])
        val shared = maxOf(width, 0f) * maxOf(height, 0f)
        // A product, not a quotient: no box of no size divides by zero.
        return shared > thresholds.iou * (area(i) + area(j) - shared)
    }

    private fun area(i: Int): Float = (boxes[i + 2] - boxes[i]) * (boxes[i + 3] - boxes[i + 1])
}
