package org.tfyolo.demo.detection

import android.content.Context
import android.graphics.Bitmap
import android.media.Image
import android.net.Uri
import android.os.Handler
import android.os.HandlerThread
import android.os.Looper
import org.tfyolo.demo.R
import org.tfyolo.demo.models.ImportException
import org.tfyolo.demo.models.Model
import org.tfyolo.demo.models.ModelImport
import org.tfyolo.demo.models.ModelLibrary
import org.tfyolo.detector.Backend
import org.tfyolo.detector.Detections
import org.tfyolo.detector.Detector
import org.tfyolo.detector.ModelDescription
import org.tfyolo.detector.ModelException
import org.tfyolo.detector.Options
import org.tfyolo.detector.Thresholds
import org.tfyolo.detector.YuvFrame

/** What is loaded. */
data class Loaded(val model: Model, val description: ModelDescription, val backend: Backend)

/**
 * The detector and the one thread that makes, uses and closes it. Outlives an activity that is made anew.
 *
 * Its methods are called on the main thread, where [listener] hears of results.
 */
class DetectorHost(context: Context) {
    interface Listener {
        fun onLoaded(loaded: Loaded)

        /** What ran before runs on. */
        fun onModelRefused(message: String)

        fun onImage(image: Bitmap, found: Detections)

        fun onFrame(found: Detections)
    }

    private val context = context.applicationContext
    private val main = Handler(Looper.getMainLooper())
    private val thread = HandlerThread("detector").apply { start() }
    private val frame = YuvFrame()
    private var detector: Detector? = null

    /** Frames of the camera belong on this thread. */
    val handler = Handler(thread.looper)

    /** Null while there is no activity. */
    var listener: Listener? = null

    /** Null until a model is there. */
    var loaded: Loaded? = null
        private set

    /** Models that were loaded since the start of the app's process. */
    var loads = 0
        private set

    @Volatile
    var thresholds: Thresholds = Thresholds(0.4f, 0.45f, 100)

    /** Load a model; the one before it runs until it is there, and on if it is refused. */
    fun load(model: Model, options: Options) {
        handler.post { replace(options) { model to model.load(context, options) } }
    }

    /** Copy a file, and load it if it is a model. */
    fun import(from: Uri, options: Options) {
        handler.post {
            replace(options) {
                val import = ModelImport(context, ModelLibrary(context))
                val part = import.copy(from)
                val candidate = try {
                    Detector.fromFile(context, part, options)
                } catch (error: Throwable) {
                    import.discard(part)
                    throw error
                }
                import.accept(part) to candidate
            }
        }
    }

    /** Detect in an image; nothing happens until a model is there. */
    fun detect(image: Bitmap) {
        handler.post {
            val found = compute { it.detect(image) } ?: return@post
            tell { it.onImage(image, found) }
        }
    }

    /** Detect in a camera's image, which is closed; to be called on [handler]'s thread. */
    fun detect(image: Image, rotation: Int, mirror: Boolean) {
        image.use { frame.copyFrom(it) }
        val found = compute { it.detect(frame, rotation, mirror) } ?: return
        tell { it.onFrame(found) }
    }

    /** A file may load and yet not run, or a driver give up; the network goes, the app stays. */
    private fun compute(what: (Detector) -> Detections): Detections? {
        val running = detector ?: return null
        running.thresholds = thresholds
        return try {
            what(running)
        } catch (error: RuntimeException) {
            running.close()
            detector = null
            val reason = error.message?.lineSequence()?.firstOrNull() ?: error.javaClass.simpleName
            main.post {
                loaded = null
                listener?.onModelRefused(context.getString(R.string.model_stopped, reason))
            }
            null
        }
    }

    /** Give the memory of the network back; [load] brings it again. */
    fun release() {
        loaded = null
        handler.post {
            detector?.close()
            detector = null
            // After what a load that was under way has posted.
            main.post { loaded = null }
        }
    }

    /** The end; the thread finishes what it has begun. */
    fun close() {
        listener = null
        release()
        thread.quitSafely()
    }

    private fun replace(options: Options, make: () -> Pair<Model, Detector>) {
        val message = try {
            val (model, made) = make()
            detector?.close()
            detector = made
            val now = Loaded(model, made.description, made.backend)
            main.post {
                loads++
                loaded = now
                listener?.onLoaded(now)
            }
            return
        } catch (error: ModelException) {
            error.message
        } catch (error: ImportException) {
            error.message
        } catch (error: OutOfMemoryError) {
            context.getString(R.string.out_of_memory)
        } catch (error: RuntimeException) {
            error.message ?: error.javaClass.simpleName
        }
        tell { it.onModelRefused(message.orEmpty()) }
    }

    private fun tell(what: (Listener) -> Unit) {
        main.post { listener?.let(what) }
    }
}
