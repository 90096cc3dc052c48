package org.tfyolo.detector

import java.lang.management.ManagementFactory
import kotlin.random.Random
import kotlin.test.Test
import kotlin.test.assertTrue

/**
 * `make bench-android`: time to convert a 1280 x 720 camera frame to the input of a detector (320 x 320) and a classifier (224 x 224),
 * compared with copying its planes, and time to draw masks of a 640 x 640 model over such a frame.
 */
class PreprocessorBench {
    @Test
    fun frames() {
        val random = Random(1)
        val luma = direct(random.nextBytes(WIDTH * HEIGHT))
        val chroma = direct(random.nextBytes(WIDTH * HEIGHT / 2))
        val frame = YuvFrame()
        val preprocessor = Preprocessor(SIDE, SIDE, CAMERA_BYTES, directBuffer(SIDE * SIDE * 3), ::Letterbox)
        val copy = { frame.copyFrom(WIDTH, HEIGHT, luma, WIDTH, chroma, chroma, WIDTH, 2) }
        println("\n$WIDTH x $HEIGHT YUV to $SIDE x $SIDE uint8, median and p90 of $RUNS, bytes allocated per frame")
        report("copy of the planes", copy)
        for (rotation in listOf(0, 90, 180, 270)) {
            val median = report("copy, rotation by $rotation, letterbox, colors") {
                copy()
                preprocessor.run(frame, rotation, mirror = rotation == 270)
            }
            assertTrue(median < 4, "$median ms")
        }
        val crop = Preprocessor(CROP_SIDE, CROP_SIDE, CAMERA_BYTES, directBuffer(CROP_SIDE * CROP_SIDE * 3), ::CenterCrop)
        for (rotation in listOf(0, 90)) {
            report("copy, rotation by $rotation, center crop, colors") {
                copy()
                crop.run(frame, rotation, mirror = false)
            }
        }
    }

    @Test
    fun masks() {
        val ratio = 0.5
        val pixels = IntArray(WIDTH * HEIGHT)
        val renderer = MaskRenderer()
        println("\nmasks of a 640 x 640 model over $WIDTH x $HEIGHT pixels, median and p90 of $RUNS, bytes allocated per frame")
        for ((count, cells) in listOf(1 to 160, 1 to 40, 10 to 40)) {
            // Boxes in the upper left corner of the image, below the padding of 140 pixels.
            val columns = MaskAxis(0f, cells.toFloat(), 160, 4, ratio, 0.0, WIDTH)
            val rows = MaskAxis(35f, 35f + cells, 160, 4, ratio, 140.0, HEIGHT)
            val mask = Mask(FloatArray(rows.size * columns.size) { it % 100 / 100f }, rows, columns)
            report("$count of ${mask.width} x ${mask.height} pixels") { repeat(count) { renderer.draw(mask, -1, pixels, WIDTH) } }
        }
    }

    private fun report(what: String, run: () -> Unit): Double {
        repeat(WARM_UP) { run() }
        val threads = ManagementFactory.getThreadMXBean() as com.sun.management.ThreadMXBean
        val times = DoubleArray(RUNS)
        val before = threads.currentThreadAllocatedBytes
        for (i in times.indices) {
            val begin = System.nanoTime()
            run()
            times[i] = (System.nanoTime() - begin) / 1e6
        }
        val bytes = (threads.currentThreadAllocatedBytes - before) / RUNS
        times.sort()
        println("%-48s %6.2f ms %6.2f ms %4d".format(what, times[RUNS / 2], times[RUNS * 9 / 10], bytes))
        return times[RUNS / 2]
    }

    private companion object {
        const val WIDTH = 1280
        const val HEIGHT = 720
        const val SIDE = 320
        const val CROP_SIDE = 224
        const val WARM_UP = 300
        const val RUNS = 500
    }
}
