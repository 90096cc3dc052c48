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

/** Reasons why the camera delivers no frames. */
enum class CameraProblem {
    /** The device has no camera. */
    NONE,

    /** Another app uses the camera; it is opened again when that app releases it. */
    IN_USE,

    /** Disabled by an administrator or by the user. */
    DISABLED,

    /** The camera reported an error. */
    FAILED,
}

/**
 * Properties of an open camera.
 *
 * @property size of its frames in pixels.
 * @property sensor clockwise degrees from the sensor's image to the device's natural orientation.
 * @property front true for a front camera.
 */
data class CameraInfo(val size: Extent, val sensor: Int, val front: Boolean)

/**
 * Opens a camera with Camera2: a preview on a texture, and YUV frames for detection.
 *
 * @param frames handler of the thread that calls [Listener.onFrame]; frames that arrive while it is busy are dropped.
 */
class CameraSource(context: Context, private val frames: Handler, private val listener: Listener) {
    interface Listener {
        fun onCameraOpen(info: CameraInfo)

        /** The listener must close the image. */
        fun onFrame(image: Image)

        fun onCameraProblem(problem: CameraProblem)
    }

    private val manager = context.getSystemService(Context.CAMERA_SERVICE) as CameraManager
    private val main = Handler(Looper.getMainLooper())
    private var camera: CameraDevice? = null
    private var reader: ImageReader? = null
    private var surface: Surface? = null

    /** Not null between [start] and [stop]. Callbacks of earlier starts are ignored. */
    private var opening: Opening? = null

    private class Opening(val id: String, val info: CameraInfo, val texture: SurfaceTexture) {
        /** Why the camera was lost; null while it is open. An [CameraProblem.IN_USE] camera is reopened when it is released. */
        var problem: CameraProblem? = null
    }

    /** True if the camera is open or being opened. */
    val running: Boolean get() = opening?.run { problem == null } ?: false

    private val availability = object : CameraManager.AvailabilityCallback() {
        override fun onCameraAvailable(id: String) {
            val waiting = opening ?: return
            // Only after IN_USE: a broken camera becomes available after each failure and would be reopened endlessly.
            if (id == waiting.id && waiting.problem == CameraProblem.IN_USE) open(waiting)
        }
    }

    /** True if the device has both a front and a back camera. */
    fun canSwitch(): Boolean = try {
        listOf(true, false).all { front -> manager.cameraIdList.any { isFront(it) == front } }
    } catch (_: CameraAccessException) {
        false
    } catch (_: IllegalArgumentException) {
        false
    }

    /** Open a camera; requires the permission. The listener is called on the main thread with the result. */
    fun start(texture: SurfaceTexture, front: Boolean) {
        stop()
        val (id, info) = try {
            choose(front)
        } catch (error: CameraAccessException) {
            return listener.onCameraProblem(problemOf(error))
        } catch (_: IllegalArgumentException) {
            // The camera was disconnected in the meantime.
            return listener.onCameraProblem(CameraProblem.FAILED)
        } ?: return listener.onCameraProblem(CameraProblem.NONE)
        val now = Opening(id, info, texture)
        opening = now
        open(now)
        manager.registerAvailabilityCallback(availability, main)
    }

    /** Close the camera. */
    fun stop() {
        if (opening != null) manager.unregisterAvailabilityCallback(availability)
        opening = null
        release()
    }

    private fun release() {
        camera?.close()
        camera = null
        // Closed on the model's thread, after the frame that is being read from the reader's memory.
        reader?.let { old -> frames.post { old.close() } }
        reader = null
        surface?.release()
        surface = null
    }

    private fun choose(front: Boolean): Pair<String, CameraInfo>? {
        val ids = manager.cameraIdList
        val id = ids.firstOrNull { isFront(it) == front } ?: ids.firstOrNull() ?: return null
        val about = manager.getCameraCharacteristics(id)
        val sizes = about.get(CameraCharacteristics.SCALER_STREAM_CONFIGURATION_MAP) ?: return null
        fun extents(all: Array<android.util.Size>?) = all.orEmpty().map { Extent(it.width, it.height) }
        val size = CameraGeometry.size(
            extents(sizes.getOutputSizes(SurfaceTexture::class.java)),
            extents(sizes.getOutputSizes(ImageFormat.YUV_420_888)),
        ) ?: return null
        return id to CameraInfo(size, about.get(CameraCharacteristics.SENSOR_ORIENTATION) ?: 0, isFront(id))
    }

    private fun isFront(id: String): Boolean =
        manager.getCameraCharacteristics(id).get(CameraCharacteristics.LENS_FACING) == CameraCharacteristics.LENS_FACING_FRONT

    @SuppressLint("MissingPermission")
    private fun open(now: Opening) {
        now.problem = null
        try {
            manager.openCamera(now.id, states(now), main)
        } catch (error: CameraAccessException) {
            onLost(now, problemOf(error))
        } catch (_: SecurityException) {
            onLost(now, CameraProblem.DISABLED)
        } catch (_: IllegalArgumentException) {
            onLost(now, CameraProblem.FAILED)
        }
    }

    private fun onLost(now: Opening, problem: CameraProblem) {
        if (opening !== now) return
        now.problem = problem
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
            startSession(device, now)
        }

        override fun onDisconnected(device: CameraDevice) = onLost(device, CameraProblem.IN_USE)

        override fun onError(device: CameraDevice, error: Int) = onLost(
            device,
            when (error) {
                ERROR_CAMERA_IN_USE, ERROR_MAX_CAMERAS_IN_USE -> CameraProblem.IN_USE
                ERROR_CAMERA_DISABLED -> CameraProblem.DISABLED
                else -> CameraProblem.FAILED
            },
        )

        private fun onLost(device: CameraDevice, problem: CameraProblem) {
            device.close()
            onLost(now, problem)
        }
    }

    private fun startSession(device: CameraDevice, now: Opening) {
        val size = now.info.size
        try {
            now.texture.setDefaultBufferSize(size.width, size.height)
            val preview = Surface(now.texture).also { surface = it }
            val images = ImageReader.newInstance(size.width, size.height, ImageFormat.YUV_420_888, IMAGES).also { reader = it }
            images.setOnImageAvailableListener({ from -> from.acquireLatestImage()?.let(listener::onFrame) }, frames)
            @Suppress("DEPRECATION") // The replacement requires Android 9.
            device.createCaptureSession(listOf(preview, images.surface), sessions(device, now, preview, images.surface), main)
        } catch (error: CameraAccessException) {
            onLost(now, problemOf(error))
        } catch (_: IllegalArgumentException) {
            // The view has released its texture.
            onLost(now, CameraProblem.FAILED)
        } catch (_: IllegalStateException) {
            // The camera was closed in the meantime; onDisconnected or onError reports it.
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
                listener.onCameraOpen(now.info)
            } catch (error: CameraAccessException) {
                onLost(now, problemOf(error))
            } catch (_: IllegalArgumentException) {
                onLost(now, CameraProblem.FAILED)
            } catch (_: IllegalStateException) {
                // See above.
            }
        }

        override fun onConfigureFailed(session: CameraCaptureSession) = onLost(now, CameraProblem.FAILED)
    }

    private companion object {
        /** One image that is being read and one that is being filled. */
        const val IMAGES = 2
    }
}
