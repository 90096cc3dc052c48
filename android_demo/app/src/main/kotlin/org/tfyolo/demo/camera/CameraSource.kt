package org.tfyolo.demo.camera

import android.annotation.SuppressLint
import android.content.Context
import android.graphics.ImageFormat
import android.graphics.SurfaceTexture
import android.hardware.camera2.CameraAccessException
import android.hardware.camera2.CameraCaptureSession
import android.hardware.camera2.CameraCharacteristics
import android.hardware.camera2.CameraDevice
import android.hardware.camera2.CameraManager
import android.hardware.camera2.CaptureRequest
import android.media.Image
import android.media.ImageReader
import android.os.Handler
import android.os.Looper
import android.view.Surface

/** Why there is no image. */
enum class CameraProblem {
    /** This device has none. */
    NONE,

    /** Another app has it; it comes back when that one is done. */
    IN_USE,

    /** Switched off by an administrator or by the person. */
    DISABLED,

    /** It failed, for reasons of its own. */
    FAILED,
}

/** An open camera: the size of its images, and how they lie. */
data class CameraFacts(val size: Extent, val sensor: Int, val front: Boolean)

/**
 * A camera on Android's Camera2: a preview on a texture, and frames to detect in.
 *
 * @param frames the thread that [Listener.onFrame] is called on; frames that come while it is busy are dropped.
 */
class CameraSource(context: Context, private val frames: Handler, private val listener: Listener) {
    interface Listener {
        fun onCameraOpen(facts: CameraFacts)

        /** The image is the listener's to close. */
        fun onFrame(image: Image)

        fun onCameraProblem(problem: CameraProblem)
    }

    private val manager = context.getSystemService(Context.CAMERA_SERVICE) as CameraManager
    private val main = Handler(Looper.getMainLooper())
    private var camera: CameraDevice? = null
    private var reader: ImageReader? = null
    private var surface: Surface? = null

    /** Not null between [start] and [stop]; callbacks of an older start are ignored. */
    private var opening: Opening? = null

    private class Opening(val id: String, val facts: CameraFacts, val texture: SurfaceTexture) {
        /** Taken away, or never given: opened again by another [start]; by itself when the other app is done with it. */
        var lost: CameraProblem? = null
    }

    /** Open, or about to be. */
    val running: Boolean get() = opening?.run { lost == null } ?: false

    private val availability = object : CameraManager.AvailabilityCallback() {
        override fun onCameraAvailable(id: String) {
            val waiting = opening ?: return
            // A broken camera is free again whenever it failed, and would be opened without end.
            if (id == waiting.id && waiting.lost == CameraProblem.IN_USE) open(waiting)
        }
    }

    /** Whether there are cameras on both sides. */
    fun canSwitch(): Boolean = try {
        listOf(true, false).all { front -> manager.cameraIdList.any { isFront(it) == front } }
    } catch (_: CameraAccessException) {
        false
    } catch (_: IllegalArgumentException) {
        false
    }

    /** Open it; the permission is there. Once open, or instead, the listener hears of it on the main thread. */
    fun start(texture: SurfaceTexture, front: Boolean) {
        stop()
        val (id, facts) = try {
            choose(front)
        } catch (error: CameraAccessException) {
            return listener.onCameraProblem(problemOf(error))
        } catch (_: IllegalArgumentException) {
            // Unplugged in between.
            return listener.onCameraProblem(CameraProblem.FAILED)
        } ?: return listener.onCameraProblem(CameraProblem.NONE)
        val now = Opening(id, facts, texture)
        opening = now
        open(now)
        manager.registerAvailabilityCallback(availability, main)
    }

    /** Let the camera go. */
    fun stop() {
        if (opening != null) manager.unregisterAvailabilityCallback(availability)
        opening = null
        release()
    }

    private fun release() {
        camera?.close()
        camera = null
        // After the frame that is being read: it lies in the reader's memory.
        reader?.let { old -> frames.post { old.close() } }
        reader = null
        surface?.release()
        surface = null
    }

    private fun choose(front: Boolean): Pair<String, CameraFacts>? {
        val ids = manager.cameraIdList
        val id = ids.firstOrNull { isFront(it) == front } ?: ids.firstOrNull() ?: return null
        val about = manager.getCameraCharacteristics(id)
        val sizes = about.get(CameraCharacteristics.SCALER_STREAM_CONFIGURATION_MAP) ?: return null
        fun extents(all: Array<android.util.Size>?) = all.orEmpty().map { Extent(it.width, it.height) }
        val size = CameraGeometry.size(
            extents(sizes.getOutputSizes(SurfaceTexture::class.java)),
            extents(sizes.getOutputSizes(ImageFormat.YUV_420_888)),
        ) ?: return null
        return id to CameraFacts(size, about.get(CameraCharacteristics.SENSOR_ORIENTATION) ?: 0, isFront(id))
    }

    private fun isFront(id: String): Boolean =
        manager.getCameraCharacteristics(id).get(CameraCharacteristics.LENS_FACING) == CameraCharacteristics.LENS_FACING_FRONT

    @SuppressLint("MissingPermission")
    private fun open(now: Opening) {
        now.lost = null
        try {
            manager.openCamera(now.id, states(now), main)
        } catch (error: CameraAccessException) {
            lose(now, problemOf(error))
        } catch (_: SecurityException) {
            lose(now, CameraProblem.DISABLED)
        } catch (_: IllegalArgumentException) {
            lose(now, CameraProblem.FAILED)
        }
    }

    private fun lose(now: Opening, problem: CameraProblem) {
        if (opening !== now) return
        now.lost = problem
        release()
        listener.onCameraProblem(problem)
    }

    private fun problemOf(error: CameraAccessException): CameraProblem = when (error.reason) {
        CameraAccessException.CAMERA_IN_USE, CameraAccessException.MAX_CAMERAS_IN_USE -> CameraProblem.IN_USE
        CameraAccessException.CAMERA_DISABLED -> CameraProblem.DISABLED
        else -> CameraProblem.FAILED
    }

    private fun states(now: Opening) = object : CameraDevice.StateCallback() {
        override fun onOpened(device: CameraDevice) {
            if (opening !== now) return device.close()
            camera = device
            begin(device, now)
        }

        override fun onDisconnected(device: CameraDevice) = lose(device, CameraProblem.IN_USE)

        override fun onError(device: CameraDevice, error: Int) = lose(
            device,
            when (error) {
                ERROR_CAMERA_IN_USE, ERROR_MAX_CAMERAS_IN_USE -> CameraProblem.IN_USE
                ERROR_CAMERA_DISABLED -> CameraProblem.DISABLED
                else -> CameraProblem.FAILED
            },
        )

        private fun lose(device: CameraDevice, problem: CameraProblem) {
            device.close()
            lose(now, problem)
        }
    }

    private fun begin(device: CameraDevice, now: Opening) {
        val size = now.facts.size
        try {
            now.texture.setDefaultBufferSize(size.width, size.height)
            val preview = Surface(now.texture).also { surface = it }
            val images = ImageReader.newInstance(size.width, size.height, ImageFormat.YUV_420_888, IMAGES).also { reader = it }
            images.setOnImageAvailableListener({ from -> from.acquireLatestImage()?.let(listener::onFrame) }, frames)
            @Suppress("DEPRECATION") // Its successor begins with Android 9.
            device.createCaptureSession(listOf(preview, images.surface), sessions(device, now, preview, images.surface), main)
        } catch (error: CameraAccessException) {
            lose(now, problemOf(error))
        } catch (_: IllegalArgumentException) {
            // The view has let its texture go.
            lose(now, CameraProblem.FAILED)
        } catch (_: IllegalStateException) {
            // Closed in the meantime: onDisconnected or onError tells.
        }
    }

    private fun sessions(device: CameraDevice, now: Opening, vararg targets: Surface) = object : CameraCaptureSession.StateCallback() {
        override fun onConfigured(session: CameraCaptureSession) {
            if (opening !== now || camera !== device) return
            try {
                val request = device.createCaptureRequest(CameraDevice.TEMPLATE_PREVIEW)
                targets.forEach(request::addTarget)
                request.set(CaptureRequest.CONTROL_AF_MODE, CaptureRequest.CONTROL_AF_MODE_CONTINUOUS_VIDEO)
                session.setRepeatingRequest(request.build(), null, main)
                listener.onCameraOpen(now.facts)
            } catch (error: CameraAccessException) {
                lose(now, problemOf(error))
            } catch (_: IllegalArgumentException) {
                lose(now, CameraProblem.FAILED)
            } catch (_: IllegalStateException) {
                // As above.
            }
        }

        override fun onConfigureFailed(session: CameraCaptureSession) = lose(now, CameraProblem.FAILED)
    }

    private companion object {
        /** One that is read, one that is filled. */
        const val IMAGES = 2
    }
}
