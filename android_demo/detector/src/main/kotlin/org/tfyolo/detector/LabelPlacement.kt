package org.tfyolo.detector

/** With more boxes than this, overlap is ignored: there would be no free positions, and searching takes quadratic time. */
private const val MAX_BOXES = 100

/**
 * Place each label inside the view, at the corner of its box where it overlaps the earlier labels least; above the top left
 * corner if possible.
 *
 * All lengths are in pixels of the view.
 *
 * @param boxes the boxes to label; labels are placed in this order.
 * @param widths width of each label.
 * @param height common height of all labels.
 * @return one rectangle per label.
 */
public fun placeLabels(boxes: List<Box>, widths: List<Float>, height: Float, viewWidth: Float, viewHeight: Float): List<Box> {
    val placed = ArrayList<Box>(boxes.size)
    for ((box, width) in boxes zip widths) {
        val farLeft = box.right - width
        val corners = listOf(
            box.left to box.top - height, box.left to box.top, box.left to box.bottom, farLeft to box.top - height,
            farLeft to box.bottom, farLeft to box.top, box.left to box.bottom - height, farLeft to box.bottom - height,
        )
        val maxX = maxOf(viewWidth - width, 0f)
        val maxY = maxOf(viewHeight - height, 0f)
        // Corners where the label fits into the view are tried before those where it has to be moved.
        val (fitting, moved) = corners.partition { (x, y) -> x in 0f..maxX && y in 0f..maxY }
        val rectangles = (fitting + moved).map { (x, y) ->
            val left = x.coerceIn(0f, maxX)
            val top = y.coerceIn(0f, maxY)
            Box(left, top, left + width, top + height)
        }
        // The first corner, unless another one has less overlap: the overlap with a box that is not finite is NaN.
        var best = rectangles.first()
        var leastOverlap = Float.MAX_VALUE
        for (rectangle in rectangles) {
            val overlap = if (boxes.size > MAX_BOXES) 0f else placed.sumOf { intersectionArea(rectangle, it).toDouble() }.toFloat()
            if (overlap < leastOverlap) {
                best = rectangle
                leastOverlap = overlap
            }
            if (overlap == 0f) break
        }
        placed += best
    }
    return placed
}

private fun intersectionArea(a: Box, b: Box): Float =
    maxOf(minOf(a.right, b.right) - maxOf(a.left, b.left), 0f) * maxOf(minOf(a.bottom, b.bottom) - maxOf(a.top, b.top), 0f)
