package org.tfyolo.detector

import android.graphics.ImageFormat
import android.media.Image
import java.nio.ByteBuffer

/**
 * A camera frame in `YUV_420_888`, with copies of its planes.
 *
 * Create one frame and refill it for every image: its memory is reused, and the camera's [Image] can be closed immediately.
 * Not thread-safe.
 *
 * ```
 * reader.setOnImageAvailableListener({ reader ->
 *     reader.acquireLatestImage()?.use { frame.copyFrom(it) }
 *     val detections = detector.detect(frame, rotation = 90)
 * }, handler)
 * ```
 *
 * Colors are converted with BT.601 full range (JFIF), which Android cameras use; each chroma sample applies to 2 x 2 pixels.
 */
public class YuvFrame : Source {
    override var width: Int = 0
        private set
    override var height: Int = 0
        private set
    private val y = Plane()
    private val u = Plane()
    private val v = Plane()

    /** Copy the cropped part of an image; odd crop offsets are rounded down to even pixels, where chroma samples start. */
    public fun copyFrom(image: Image) {
        require(image.format == ImageFormat.YUV_420_888) { "the image format must be YUV_420_888, not ${image.format}" }
        val (luma, blue, red) = image.planes
        copyFrom(
            image.width, image.height, luma.buffer, luma.rowStride,
            blue.buffer, red.buffer, blue.rowStride, blue.pixelStride,
        )
        val crop = image.cropRect
        if (crop.isEmpty) return
        y.start = (crop.top and 1.inv()) * y.rowStride + (crop.left and 1.inv())
        u.start = crop.top / 2 * u.rowStride + crop.left / 2 * u.pixelStride
        v.start = u.start
        width = crop.width()
        height = crop.height()
    }

    /**
     * Copy planes from buffers.
     *
     * @param width in pixels.
     * @param height in pixels.
     * @param y luma, one byte per pixel.
     * @param yRowStride bytes from one row of `y` to the next.
     * @param u blue-difference chroma, one byte per 2 x 2 pixels.
     * @param v red-difference chroma, one byte per 2 x 2 pixels.
     * @param uvRowStride bytes from one row of `u` and `v` to the next.
     * @param uvPixelStride bytes from one sample to the next: 1 if `u` and `v` are separate, 2 if they are interleaved.
     * @throws IllegalArgumentException if a plane is shorter than its size and strides require.
     */
    public fun copyFrom(
        width: Int,
        height: Int,
        y: ByteBuffer,
        yRowStride: Int,
        u: ByteBuffer,
        v: ByteBuffer,
        uvRowStride: Int,
        uvPixelStride: Int,
    ) {
        require(width > 0 && height > 0) { "the frame is empty: $width x $height" }
        this.y.copyFrom("y", y, width, height, yRowStride, 1)
        this.u.copyFrom("u", u, (width + 1) / 2, (height + 1) / 2, uvRowStride, uvPixelStride)
        this.v.copyFrom("v", v, (width + 1) / 2, (height + 1) / 2, uvRowStride, uvPixelStride)
        this.width = width
        this.height = height
    }

    override fun line(index: Int, transposed: Boolean, at: IntArray, count: Int, rgb: IntArray) {
        val luma = y.bytes
        val blue = u.bytes
        val red = v.bytes
        val lumaStep = if (transposed) y.rowStride else 1
        val chromaStep = if (transposed) u.rowStride else u.pixelStride
        val lumaStart = y.start + if (transposed) index else index * y.rowStride
        val chromaStart = u.start + (index shr 1) * if (transposed) u.pixelStride else u.rowStride
        for (i in 0 until count) {
            val chroma = chromaStart + (at[i] shr 1) * chromaStep
            rgb[i] = toRgb(
                luma[lumaStart + at[i] * lumaStep].toInt() and 255,
                (blue[chroma].toInt() and 255) - 128,
                (red[chroma].toInt() and 255) - 128,
            )
        }
    }

    /** A copy of one plane. */
    private class Plane {
        var bytes = ByteArray(0)
        var start = 0
        var rowStride = 0
        var pixelStride = 0

        fun copyFrom(name: String, from: ByteBuffer, columns: Int, rows: Int, rowStride: Int, pixelStride: Int) {
            val needed = (rows - 1) * rowStride + (columns - 1) * pixelStride + 1
            require(pixelStride > 0 && rowStride >= (columns - 1) * pixelStride + 1 && from.limit() >= needed) {
                "plane $name has ${from.limit()} bytes in rows of $rowStride, but $columns x $rows samples, " +
                    "each $pixelStride bytes after the last, need $needed"
            }
            if (bytes.size < needed) bytes = ByteArray(needed)
            val position = from.position()
            seek(from, 0)
            from.get(bytes, 0, needed)
            seek(from, position)
            start = 0
            this.rowStride = rowStride
            this.pixelStride = pixelStride
        }
    }

    private companion object {
        /** Lookup table for clamping values of -227 to 481; faster than comparisons, whose branches are unpredictable in noise. */
        const val BELOW = 256
        val CLAMPED = IntArray(3 * 256) { (it - BELOW).coerceIn(0, 255) }

        /** Convert to `0xRRGGBB` in fixed point (1/65536). Source: ITU-T T.871 (JFIF), section 7: BT.601 full range. */
        fun toRgb(y: Int, u: Int, v: Int): Int {
            val r = y + ((91881 * v + 32768) shr 16)
            val g = y - ((22554 * u + 46802 * v + 32768) shr 16)
            val b = y + ((116130 * u + 32768) shr 16)
            return (CLAMPED[r + BELOW] shl 16) or (CLAMPED[g + BELOW] shl 8) or CLAMPED[b + BELOW]
        }
    }
}
