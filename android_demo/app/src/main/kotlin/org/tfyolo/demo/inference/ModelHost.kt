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

/** A loaded model, its metadata, and the engine that runs it. */
data class LoadedModel(val model: Model, val description: ModelDescription, val backend: Backend)

/**
 * Owns the detector and the thread that creates, uses and closes it. Survives the recreation of the activity.
 *
 * Call its methods on the main thread, where [listener] receives the results.
 */
class DetectorHost(context: Context) {
    interface Listener {
        fun onLoaded(loaded: LoadedModel)

        /** A model could not be loaded; the previous one stays in use. */
        fun onModelRejected(message: String)

        fun onImage(image: Bitmap, detections: Detections)

        fun onFrame(detections: Detections)
    }

    private val context = context.applicationContext
    private val main = Handler(Looper.getMainLooper())
    private val thread = HandlerThread("detector").apply { start() }
    private val frame = YuvFrame()
    private var detector: Detector? = null

    /** Handler of the detector's thread, for camera frames. */
    val handler = Handler(thread.looper)

    /** The activity; null while there is none. */
    var listener: Listener? = null

    /** The loaded model; null if none is loaded. */
    var loaded: LoadedModel? = null
        private set

    /** Number of models loaded since the start of the process. */
    var loadCount = 0
        private set

    @Volatile
    var thresholds: Thresholds = Thresholds(0.4f, 0.45f, 100)

    /** Load a model. The current one runs until the new one is loaded, and stays in use if loading fails. */
    fun load(model: Model, options: Options) {
        handler.post { replace(options) { model to model.load(context, options) } }
    }

    /** Copy a file into the library and load it. */
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

    /** Detect objects in an image; does nothing if no model is loaded. */
    fun detect(image: Bitmap) {
        handler.post {
            val detections = runDetection { it.detect(image) } ?: return@post
            notifyListener { it.onImage(image, detections) }
        }
    }

    /** Detect objects in a camera frame and close the image; call on the thread of [handler]. */
    fun detect(image: Image, rotation: Int, mirror: Boolean) {
        image.use { frame.copyFrom(it) }
        val detections = runDetection { it.detect(frame, rotation, mirror) } ?: return
        notifyListener { it.onFrame(detections) }
    }

    /** Run a detection; null if there is no detector. If it fails (a driver error, for example), the model is unloaded. */
    private fun runDetection(detect: (Detector) -> Detections): Detections? {
        val running = detector ?: return null
        running.thresholds = thresholds
        return try {
            detect(running)
        } catch (error: RuntimeException) {
            running.close()
            detector = null
            val reason = error.message?.lineSequence()?.firstOrNull() ?: error.javaClass.simpleName
            main.post {
                loaded = null
                listener?.onModelRejected(context.getString(R.string.model_stopped, reason))
            }
            null
        }
    }

    /** Unload the model to free its memory; [load] loads it again. */
    fun release() {
        loaded = null
        handler.post {
            detector?.close()
            detector = null
            // Again, because a load that was in progress may have set it.
            main.post { loaded = null }
        }
    }

    /** Close the detector and end its thread after pending work. */
    fun close() {
        listener = null
        release()
        thread.quitSafely()
    }

    private fun replace(options: Options, create: () -> Pair<Model, Detector>) {
        val message = try {
            val (model, created) = create()
            detector?.close()
            detector = created
            val now = LoadedModel(model, created.description, created.backend)
            main.post {
                loadCount++
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
        notifyListener { it.onModelRejected(message.orEmpty()) }
    }

    private fun notifyListener(action: (Listener) -> Unit) {
        main.post { listener?.let(action) }
    }
}
