import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins {
    id("com.android.application")
    id("org.jetbrains.kotlin.android")
}

android {
    namespace = "org.example.detector"
    compileSdk = 35
    defaultConfig {
        applicationId = "org.example.detector"
        minSdk = 24
        targetSdk = 35
        versionCode = 1
        versionName = "1.0"
    }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_11
        targetCompatibility = JavaVersion.VERSION_11
    }
    // Uncompressed, so that MediaPipe can map the model into memory.
    androidResources { noCompress += "tflite" }
}

kotlin {
    compilerOptions.jvmTarget = JvmTarget.JVM_11
}

dependencies {
    implementation("com.google.mediapipe:tasks-vision:0.10.29")
}
