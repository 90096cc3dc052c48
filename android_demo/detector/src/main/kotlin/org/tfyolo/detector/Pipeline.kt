package org.tfyolo.detector

import android.graphics.Bitmap
import java.io.Closeable

/**
 * Preprocesses images, runs a model and reads its outputs; one image at a time.
 *
 * @param read creates the result from the outputs and the placement of the image; it calls its second argument when it has
 *   finished, for the timings.
 */
internal class Pipeline<P : Placement, R : ImageResult>(
    private val session: Session,
    private val preprocessor: Preprocessor<P>,
    private val read: (P, () -> Timings) -> R,
) : Closeable {
    private val bitmaps = BitmapSource()
    private var closed = false

    @Synchronized
    fun run(bitmap: Bitmap, rotation: Int, mirror: Boolean): R {
        bitmaps.set(bitmap)
        return try {
            run(bitmaps, rotation, mirror)
        } finally {
            bitmaps.set(null)
        }
    }

    @Synchronized
    fun run(source: Source, rotation: Int, mirror: Boolean): R {
        check(!closed) { "the model is closed" }
        val start = System.nanoTime()
        val placement = preprocessor.run(source, rotation, mirror)
        val ready = System.nanoTime()
        session.runner.run()
        val computed = System.nanoTime()
        return read(placement) { Timings((ready - start) / 1e6f, (computed - ready) / 1e6f, (System.nanoTime() - computed) / 1e6f) }
    }

    /** Free memory and threads, after the current image has been processed. */
    @Synchronized
    override fun close() {
        if (!closed) session.close()
        closed = true
    }
}
