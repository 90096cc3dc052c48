package org.tfyolo.demo.inference

import android.content.Context
import android.graphics.Bitmap
import android.media.Image
import android.net.Uri
import android.os.Handler
import android.os.HandlerThread
import android.os.Looper
import java.util.concurrent.atomic.AtomicReference
import org.tfyolo.demo.R
import org.tfyolo.demo.models.ImportException
import org.tfyolo.demo.models.Model
import org.tfyolo.demo.models.ModelImport
import org.tfyolo.demo.models.ModelLibrary
import org.tfyolo.detector.Backend
import org.tfyolo.detector.Detector
import org.tfyolo.detector.ImageModel
import org.tfyolo.detector.ImageResult
import org.tfyolo.detector.ModelDescription
import org.tfyolo.detector.ModelException
import org.tfyolo.detector.Options
import org.tfyolo.detector.Thresholds
import org.tfyolo.detector.YuvFrame

/** A loaded model, its metadata, and the engine that runs it. */
data class LoadedModel(val model: Model, val description: ModelDescription, val backend: Backend)

/**
 * Owns the running model and the thread that creates, uses and closes it. Survives the recreation of the activity.
 *
 * Call its methods on the main thread, where [listener] receives the results.
 */
class ModelHost(context: Context) {
    interface Listener {
        fun onLoaded(loaded: LoadedModel)

        /** A model could not be loaded; the previous one stays in use. */
        fun onModelRejected(message: String)

        fun onImage(image: Bitmap, found: Found)

        fun onFrame(found: Found)
    }

    private val context = context.applicationContext
    private val main = Handler(Looper.getMainLooper())
    private val thread = HandlerThread("model").apply { start() }
    private val frame = YuvFrame()
    private val layers = MaskLayers()
    private val waiting = AtomicReference<Bitmap?>()
    private var running: ImageModel? = null

    /** Handler of the model's thread, for camera frames. */
    val handler = Handler(thread.looper)

    /** The activity; null while there is none. */
    var listener: Listener? = null

    /** The loaded model; null if none is loaded. */
    var loaded: LoadedModel? = null
        private set

    /** Number of models loaded since the start of the process. */
    var loadCount = 0
        private set

    /** Thresholds of detectors. */
    @Volatile
    var thresholds: Thresholds = Thresholds(0.4f, 0.45f, 100)

    /** Draw the masks of models that segment objects. */
    @Volatile
    var drawMasks: Boolean = true

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
                var candidate: ImageModel? = null
                try {
                    candidate = ImageModel.fromFile(context, part, options)
                    import.accept(part) to candidate
                } catch (error: Throwable) {
                    candidate?.close()
                    import.discard(part)
                    throw error
                }
            }
        }
    }

    /** Run the model on an image; does nothing if no model is loaded. Of several images that wait, the last one is used. */
    fun run(image: Bitmap) {
        if (waiting.getAndSet(image) != null) return
        handler.post {
            val latest = waiting.getAndSet(null) ?: return@post
            val found = run { it.run(latest) } ?: return@post
            notifyListener { it.onImage(latest, found) }
        }
    }

    /** Run the model on a camera frame and close the image; call on the thread of [handler]. */
    fun run(image: Image, rotation: Int, mirror: Boolean) {
        image.use { frame.copyFrom(it) }
        val found = run { it.run(frame, rotation, mirror) } ?: return
        notifyListener { it.onFrame(found) }
    }

    /** Reuse the memory of results that are not displayed anymore. */
    fun recycle(found: Found) {
        found.masks?.let(layers::recycle)
    }

    /** Run the model; null if there is none. If it fails (a driver error, for example), the model is unloaded. */
    private fun run(action: (ImageModel) -> ImageResult): Found? {
        val model = running ?: return null
        if (model is Detector) model.thresholds = thresholds
        return try {
            val result = action(model)
            Found(result, if (drawMasks) layers.draw(result) else null)
        } catch (error: RuntimeException) {
            model.close()
            running = null
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
            running?.close()
            running = null
            // Again, because a load that was in progress may have set it.
            main.post { loaded = null }
        }
    }

    /** Close the model and end its thread after pending work. */
    fun close() {
        listener = null
        release()
        thread.quitSafely()
    }

    private fun replace(options: Options, create: () -> Pair<Model, ImageModel>) {
        val message = try {
            val (model, created) = create()
            running?.close()
            running = created
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
