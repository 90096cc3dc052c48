package org.tfyolo.detector

import io.kotest.property.Arb
import io.kotest.property.arbitrary.boolean
import io.kotest.property.arbitrary.element
import io.kotest.property.arbitrary.enum
import io.kotest.property.arbitrary.float
import io.kotest.property.arbitrary.int
import io.kotest.property.checkAll
import kotlin.math.abs
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertTrue
import kotlinx.coroutines.runBlocking

/** Property tests: converting coordinates forth and back is accurate to one pixel, for all sizes. */
class CoordinateMapsTest {
    private val side = Arb.int(1..4000)
    private val part = Arb.float(0f, 1f)

    @Test
    fun `letterbox round trip`() = runBlocking {
        checkAll(side, side, Arb.int(32..1280), Arb.int(32..1280), part, part) { width, height, inputWidth, inputHeight, u, v ->
            val box = Letterbox(width, height, inputWidth, inputHeight)
            val x = u * width
            val y = v * height
            val (inputX, inputY) = x * box.ratio + box.padX to y * box.ratio + box.padY
            val back = box.toSource(inputX, inputY, inputX, inputY)
            assertTrue(abs(back.left - x) < 1 && abs(back.top - y) < 1, "$x, $y came back as $back by $box")
            assertTrue(inputX in -1f..inputWidth + 1f && inputY in -1f..inputHeight + 1f, "$inputX, $inputY is outside of the input of $box")
        }
        Unit
    }

    @Test
    fun `letterbox clips boxes to the image`() = runBlocking {
        checkAll(side, side, Arb.int(32..1280), Arb.int(32..1280)) { width, height, inputWidth, inputHeight ->
            val box = Letterbox(width, height, inputWidth, inputHeight)
            val whole = box.toSource(-99f, -99f, inputWidth + 99f, inputHeight + 99f)
            assertEquals(Box(0f, 0f, width.toFloat(), height.toFloat()), whole)
            assertTrue(box.left >= 0 && box.top >= 0 && box.left + box.width <= inputWidth && box.top + box.height <= inputHeight)
        }
        Unit
    }

    @Test
    fun `view round trip`() = runBlocking {
        checkAll(side, side, side, side, Arb.enum<ScaleType>(), part) { width, height, viewWidth, viewHeight, type, u ->
            val mapping = ViewMapping(width, height, viewWidth, viewHeight, type)
            val (x, y) = u * width to (1 - u) * height
            assertTrue(abs(mapping.toSourceX(mapping.toViewX(x)) - x) < 1)
            assertTrue(abs(mapping.toSourceY(mapping.toViewY(y)) - y) < 1)
            val shown = mapping.toView(Box(0f, 0f, width.toFloat(), height.toFloat()))
            val (wide, high) = shown.width - viewWidth to shown.height - viewHeight
            if (type == ScaleType.FIT_CENTER) assertTrue(wide < 1 && high < 1, "$shown") else assertTrue(wide > -1 && high > -1, "$shown")
            assertTrue(minOf(abs(wide), abs(high)) < 1, "$shown does not touch two sides of $viewWidth x $viewHeight")
            assertTrue(abs(shown.left + shown.right - viewWidth) < 1 && abs(shown.top + shown.bottom - viewHeight) < 1, "$shown is not centered")
        }
        Unit
    }

    @Test
    fun `rotation and mirroring move each pixel to the right position`() = runBlocking {
        checkAll(Arb.int(1..40), Arb.int(1..40), Arb.element(0, 90, 180, 270), Arb.boolean()) { width, height, rotation, mirror ->
            val source = PixelSource(width, height, IntArray(width * height) { it })
            val upright = Upright(source, rotation, mirror)
            val columns = IntArray(upright.width) { upright.column(it) }
            val row = IntArray(upright.width)
            for (y in 0 until upright.height) {
                upright.row(y, columns, columns.size, row)
                for (x in row.indices) assertEquals(turned(width, height, rotation, mirror, x, y), row[x] % width to row[x] / width)
            }
        }
        Unit
    }

    /** Coordinates in the source of pixel (x, y) of the upright image, computed with quarter turns. */
    private fun turned(width: Int, height: Int, rotation: Int, mirror: Boolean, x: Int, y: Int): Pair<Int, Int> {
        val quarters = rotation / 90
        val uprightWidth = if (quarters % 2 == 1) height else width
        var point = (if (mirror) uprightWidth - 1 - x else x) to y
        var (w, h) = if (quarters % 2 == 1) height to width else width to height
        repeat(quarters) {
            // Undo one clockwise quarter turn: the top edge becomes the left edge.
            point = point.second to w - 1 - point.first
            w = h.also { h = w }
        }
        return point
    }
}
