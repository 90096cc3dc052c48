package org.tfyolo.detector

/** With more boxes there are no free places, and to look for them would cost time. */
private const val MOST_SPREAD = 100

/**
 * Places for the labels of boxes, inside of the view: above the box, else at another corner of it, so that labels do
 * not cover each other as long as one of these places is free; where none is, the one that covers least.
 *
 * @param boxes in the order in which they choose.
 * @param widths of each label.
 * @param height of every label.
 * @param viewWidth of what is drawn on.
 * @param viewHeight of what is drawn on.
 */
public fun placeLabels(boxes: List<Box>, widths: List<Float>, height: Float, viewWidth: Float, viewHeight: Float): List<Box> {
    val taken = ArrayList<Box>(boxes.size)
    for ((box, width) in boxes zip widths) {
        val farLeft = box.right - width
        val corners = listOf(
            box.left to box.top - height, box.left to box.top, box.left to box.bottom, farLeft to box.top - height,
            farLeft to box.bottom, farLeft to box.top, box.left to box.bottom - height, farLeft to box.bottom - height,
        )
        val mostX = maxOf(viewWidth - width, 0f)
        val mostY = maxOf(viewHeight - height, 0f)
        var best: Box? = null
        var lowest = Float.MAX_VALUE
        // Places that fit without being moved come first.
        val (inside, moved) = corners.partition { (x, y) -> x in 0f..mostX && y in 0f..mostY }
        for ((x, y) in inside + moved) {
            val left = x.coerceIn(0f, mostX)
            val top = y.coerceIn(0f, mostY)
            val place = Box(left, top, left + width, top + height)
            val covered = if (boxes.size > MOST_SPREAD) 0f else taken.sumOf { overlap(place, it).toDouble() }.toFloat()
            if (covered < lowest) {
                best = place
                lowest = covered
            }
            if (covered == 0f) break
        }
        taken += best!!
    }
    return taken
}

private fun overlap(a: Box, b: Box): Float =
    maxOf(minOf(a.right, b.right) - maxOf(a.left, b.left), 0f) * maxOf(minOf(a.bottom, b.bottom) - maxOf(a.top, b.top), 0f)
