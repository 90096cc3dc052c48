package org.tfyolo.detector

import java.lang.management.ManagementFactory
import java.nio.ByteBuffer
import kotlin.random.Random
import kotlin.test.Test
import kotlin.test.assertContentEquals
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertTrue

class PreprocessorTest {
    private fun frame(width: Int, height: Int, seed: Int): YuvFrame {
        val random = Random(seed)
        val rowStride = width + 64
        fun plane(size: Int): ByteBuffer = direct(random.nextBytes(size))
        return YuvFrame().apply {
            // Interleaved chroma whose planes lack the last byte, as most cameras deliver it.
            val chroma = rowStride * ((height + 1) / 2) - 1
            copyFrom(width, height, plane(rowStride * height), rowStride, plane(chroma), plane(chroma), rowStride, 2)
        }
    }

    private fun run(preprocessor: Preprocessor<*>, input: ByteBuffer, source: Source, rotation: Int = 0, mirror: Boolean = false): IntArray {
        preprocessor.run(source, rotation, mirror)
        return input.unsigned()
    }

    @Test
    fun `no allocation between frames, for any rotation`() {
        val input = directBuffer(320 * 320 * 3)
        val preprocessor = Preprocessor(320, 320, CAMERA_BYTES, input, ::Letterbox)
        val frame = frame(1280, 720, 1)
        for (rotation in listOf(0, 90, 180, 270)) {
            assertEquals(0, allocated { preprocessor.run(frame, rotation, mirror = true) }, "bytes per frame at $rotation degrees")
        }
    }

    @Test
    fun `center crops allocate nothing either, enlarged or reduced`() {
        for ((side, frame) in listOf(224 to frame(1280, 720, 1), 320 to frame(96, 128, 2))) {
            val preprocessor = Preprocessor(side, side, CAMERA_BYTES, directBuffer(side * side * 3), ::CenterCrop)
            assertEquals(0, allocated { preprocessor.run(frame, 90, mirror = true) }, "bytes per frame of ${frame.width} pixels")
        }
    }

    @Test
    fun `a rotated frame has the same center crop as the upright image`() {
        val pixels = PixelSource(61, 40, IntArray(61 * 40) { it * 7919 and 0xffffff })
        val input = directBuffer(16 * 24 * 3)
        val expected = run(Preprocessor(16, 24, CAMERA_BYTES, input, ::CenterCrop), input, pixels)
        for (rotation in listOf(90, 180, 270)) {
            for (mirror in listOf(false, true)) {
                val rotated = Upright(Upright(pixels, 0, mirror).pixels(), 360 - rotation, false).pixels()
                assertContentEquals(expected, run(Preprocessor(16, 24, CAMERA_BYTES, input, ::CenterCrop), input, rotated, rotation, mirror), "$rotation, $mirror")
            }
        }
    }

    /** Bytes allocated per call, as the minimum of several rounds: the JIT compiler may allocate in the first ones. */
    private fun allocated(run: () -> Unit): Long {
        val threads = ManagementFactory.getThreadMXBean() as com.sun.management.ThreadMXBean
        run()
        return (1..ROUNDS).minOf {
            val before = threads.currentThreadAllocatedBytes
            repeat(FRAMES) { run() }
            (threads.currentThreadAllocatedBytes - before) / FRAMES
        }
    }

    @Test
    fun `copying a camera frame allocates nothing`() {
        val frame = frame(1280, 720, 1)
        val luma = directBuffer(1280 * 720)
        val chroma = directBuffer(1280 * 360)
        assertEquals(0, allocated { frame.copyFrom(1280, 720, luma, 1280, chroma, chroma, 1280, 2) })
    }

    @Test
    fun `images of different sizes and rotations do not affect each other`() {
        val input = directBuffer(64 * 64 * 3)
        val used = Preprocessor(64, 64, CAMERA_BYTES, input, ::Letterbox)
        for ((width, height, rotation) in listOf(Triple(100, 40, 0), Triple(40, 100, 0), Triple(100, 40, 90), Triple(64, 64, 0), Triple(10, 90, 270))) {
            val source = frame(width, height, width + rotation)
            val fresh = directBuffer(64 * 64 * 3)
            val expected = run(Preprocessor(64, 64, CAMERA_BYTES, fresh, ::Letterbox), fresh, source, rotation)
            assertContentEquals(expected, run(used, input, source, rotation), "$width x $height at $rotation")
        }
    }

    @Test
    fun `the next image of the same size is read again`() {
        val input = directBuffer(16 * 16 * 3)
        val preprocessor = Preprocessor(16, 16, CAMERA_BYTES, input, ::Letterbox)
        val frame = frame(32, 32, 5)
        val first = run(preprocessor, input, frame)
        val gray = ByteArray(32 * 32) { 128.toByte() }
        frame.copyFrom(32, 32, direct(gray), 32, direct(gray), direct(gray), 32, 2)
        val second = run(preprocessor, input, frame)
        assertTrue(first.toSet().size > 10)
        assertContentEquals(IntArray(16 * 16 * 3) { 128 }, second)
    }

    @Test
    fun `all input types`() {
        val pixels = PixelSource(256, 1, IntArray(256) { it * 0x010101 })
        val float = directBuffer(256 * 3 * 4)
        Preprocessor(256, 1, PixelEncoding.float32(Normalization(127.5f, 127.5f)), float, ::Letterbox).run(pixels, 0, false)
        assertEquals(-1f, float.getFloat(0))
        assertEquals(1f, float.getFloat(255 * 12), 1e-6f)
        val signed = directBuffer(256 * 3)
        Preprocessor(256, 1, PixelEncoding.quantized(Normalization(0f, 255f), 1 / 255f, -128, -128), signed, ::Letterbox).run(pixels, 0, false)
        assertEquals((-128..127).toList(), List(256) { signed.get(3 * it).toInt() })
        val bytes = directBuffer(256 * 3)
        Preprocessor(256, 1, CAMERA_BYTES, bytes, ::Letterbox).run(pixels, 0, false)
        assertEquals((0..255).toList(), List(256) { bytes.get(3 * it).toInt() and 255 })
    }

    @Test
    fun `planes that are too short, and other angles than multiples of 90, are rejected`() {
        val plane = directBuffer(99)
        val error = assertFailsWith<IllegalArgumentException> { YuvFrame().copyFrom(10, 10, plane, 10, plane, plane, 10, 2) }
        assertEquals("plane y has 99 bytes in rows of 10, but 10 x 10 samples, each 1 bytes after the last, need 100", error.message)
        assertFailsWith<IllegalArgumentException> { YuvFrame().copyFrom(10, 5, plane, 9, plane, plane, 10, 2) }
        assertFailsWith<IllegalArgumentException> { YuvFrame().copyFrom(0, 5, plane, 9, plane, plane, 10, 2) }
        assertFailsWith<IllegalArgumentException> { Upright(PixelSource(1, 1, IntArray(1)), 45, false) }
    }

    private companion object {
        const val FRAMES = 10
        const val ROUNDS = 5
    }
}
